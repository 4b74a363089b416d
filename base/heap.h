/* The allocator as a whole: the only file that knows which one it is. */
#ifndef TAILFIN_BASE_HEAP_H
#define TAILFIN_BASE_HEAP_H

/*
 * Gives pages of freed memory back to the kernel. Any thread. Others that
 * allocate may wait some ms for it: for after large work, not for in between.
 * Cost: O(memory that was freed).
 */
void heap_trim(void);

#endif
