/*
 * A bounded first-in-first-out queue of pointers between threads: any number
 * of senders and receivers. Blocking; never used by a loop thread except
 * through queue_try_*.
 */
#ifndef TAILFIN_BASE_QUEUE_H
#define TAILFIN_BASE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/must.h"

struct queue;

MUST_USE struct queue *queue_new(size_t max_items);
/* Items still inside are the caller's to free before. NULL allowed. */
void queue_free(struct queue *q);
/* Waits for room; false once the queue is closed (the item stays the caller's). */
MUST_USE bool queue_push(struct queue *q, void *item);
MUST_USE bool queue_try_push(struct queue *q, void *item); /* false also if full */
/*
 * Waits for an item, at most timeout_us (UINT64_MAX: for ever). NULL if the
 * time is up, or the queue is closed and empty.
 */
void *queue_pop(struct queue *q, uint64_t timeout_us);
void *queue_try_pop(struct queue *q);
size_t queue_n(struct queue *q);
bool queue_is_closed(struct queue *q);
/* Wakes everyone; pushes fail from now on. */
void queue_close(struct queue *q);

#endif
