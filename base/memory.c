#include "base/memory.h"

#include "base/fs.h"

enum { TEXT_BYTES_MAX = 64 << 10 };

uint64_t
memory_line(struct span meminfo, const char *name)
{
    while (meminfo.n) {
        struct span line = span_split(&meminfo, '\n');
        size_t colon = span_find(line, 0, ':');
        uint64_t kilobytes;
        if (colon == line.n || !span_eq_str(span_of(line.p, colon), name))
            continue;
        struct span rest = span_trim(span_from(line, colon + 1));
        return span_u64(span_split(&rest, ' '), &kilobytes) ? kilobytes << 10 : 0;
    }
    return 0;
}

/* The number that a file holds; UINT64_MAX if there is none ("max"). */
static uint64_t
read_number(const char *path)
{
    struct buf text = {0};
    uint64_t n = UINT64_MAX;
    if (fs_read_path(path, TEXT_BYTES_MAX, &text, NULL) != RC_OK ||
        !span_u64(span_trim(buf_span(&text)), &n))
        n = UINT64_MAX;
    buf_fini(&text);
    return n;
}

uint64_t
memory_available(void)
{
    struct buf text = {0};
    uint64_t available = 0;
    if (fs_read_path("/proc/meminfo", TEXT_BYTES_MAX, &text, NULL) == RC_OK)
        available = memory_line(buf_span(&text), "MemAvailable");
    buf_fini(&text);
    uint64_t limit = read_number("/sys/fs/cgroup/memory.max");
    uint64_t used = read_number("/sys/fs/cgroup/memory.current");
    if (limit == UINT64_MAX || used == UINT64_MAX)
        return available;
    uint64_t left = limit > used ? limit - used : 0;
    return available && available < left ? available : left;
}
