#include "app/machine.h"

#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"

enum { PROC_BYTES_MAX = 256 << 10 };

static void
put_number(struct buf *out, const char *name, uint64_t value)
{
    json_put_name(out, name);
    buf_printf(out, "\"%llu\"", (unsigned long long)value);
}

static struct span
read_proc(const char *path, struct buf *text)
{
    if (fs_read_path(path, PROC_BYTES_MAX, text, NULL) != RC_OK)
        buf_clear(text);
    return buf_span(text);
}

/* The next number of a line, blanks skipped; 0 if there is none. */
static uint64_t
next_number(struct span *line)
{
    uint64_t n = 0;
    *line = span_trim(*line);
    struct span word = span_split(line, ' ');
    return span_u64(word, &n) ? n : 0;
}

static uint64_t
resident_bytes(void)
{
    struct buf text = {0};
    struct span line = read_proc("/proc/self/statm", &text);
    (void)next_number(&line); /* all of the address space */
    uint64_t pages = next_number(&line);
    buf_fini(&text);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- processors: proc(5), /proc/stat ---- */

static void
put_cpu(struct app_machine *m, size_t cpu, struct span times, struct buf *out)
{
    uint64_t total = 0, idle = 0;
    for (int i = 0; i < 8; i++) { /* user nice system idle iowait irq softirq steal */
        uint64_t n = next_number(&times);
        total += n;
        idle += i == 3 || i == 4 ? n : 0;
    }
    uint64_t busy_since = total - idle - atomic_exchange(&m->busy[cpu], total - idle);
    uint64_t total_since = total - atomic_exchange(&m->total[cpu], total);
    double percent = total_since ? 100.0 * (double)busy_since / (double)total_since : 0;
    char name[64];
    if (cpu == 0)
        snprintf(name, sizeof name, "system_cpu_active_percentage");
    else
        snprintf(name, sizeof name, "system_cpu%zu_active_percentage", cpu);
    json_put_name(out, name);
    /* Two looks at the same time may see each other's counters. */
    buf_printf(out, "\"%.2f\"", percent >= 0 && percent <= 100 ? percent : 0);
}

static void
put_cpus(struct app_machine *m, struct buf *out)
{
    struct buf text = {0};
    struct span rest = read_proc("/proc/stat", &text);
    size_t cpu = 0;
    while (rest.p && cpu <= APP_CPUS_MAX) {
        struct span line = span_split(&rest, '\n');
        if (!span_starts(line, SPAN_LIT("cpu")))
            break;
        (void)span_split(&line, ' ');
        put_cpu(m, cpu++, line, out);
    }
    buf_fini(&text);
}

/* ---- network: /proc/net/dev ---- */

static void
put_network(struct buf *out)
{
    struct buf text = {0};
    struct span rest = read_proc("/proc/net/dev", &text);
    uint64_t received = 0, sent = 0;
    while (rest.p) {
        struct span line = span_trim(span_split(&rest, '\n'));
        size_t colon = span_find(line, 0, ':');
        if (colon == line.n || span_starts(line, SPAN_LIT("lo:")))
            continue;
        struct span numbers = span_from(line, colon + 1);
        received += next_number(&numbers);
        for (int i = 0; i < 7; i++)
            (void)next_number(&numbers);
        sent += next_number(&numbers);
    }
    buf_fini(&text);
    put_number(out, "system_network_received_bytes", received);
    put_number(out, "system_network_sent_bytes", sent);
}

void
app_machine_write(struct app_machine *m, const char *data_dir, uint64_t mapped_bytes,
                  struct buf *out)
{
    struct sysinfo machine = {0};
    struct statvfs disk = {0};
    (void)sysinfo(&machine); /* zeroes are shown where the kernel says nothing */
    (void)statvfs(data_dir, &disk);
    uint64_t unit = machine.mem_unit ? machine.mem_unit : 1;
    uint64_t resident = resident_bytes();
    buf_putc(out, '{');
    put_cpus(m, out);
    put_number(out, "system_disk_total_bytes", disk.f_blocks * disk.f_frsize);
    put_number(out, "system_disk_used_bytes", (disk.f_blocks - disk.f_bavail) * disk.f_frsize);
    put_number(out, "system_memory_total_bytes", machine.totalram * unit);
    put_number(out, "system_memory_total_swap_bytes", machine.totalswap * unit);
    put_number(out, "system_memory_used_bytes", (machine.totalram - machine.freeram) * unit);
    put_number(out, "system_memory_used_swap_bytes", (machine.totalswap - machine.freeswap) * unit);
    put_network(out);
    put_number(out, "typesense_memory_active_bytes", resident);
    put_number(out, "typesense_memory_allocated_bytes", resident);
    buf_puts(out, ",\"typesense_memory_fragmentation_ratio\":\"0.00\"");
    put_number(out, "typesense_memory_mapped_bytes", mapped_bytes);
    put_number(out, "typesense_memory_metadata_bytes", 0);
    put_number(out, "typesense_memory_resident_bytes", resident);
    put_number(out, "typesense_memory_retained_bytes", 0);
    buf_putc(out, '}');
}
