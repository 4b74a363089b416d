#include "index/section.h"

#include "base/hash.h"

bool
idx_section_check(struct idx_section *s)
{
    uint8_t state = atomic_load_explicit(&s->state, memory_order_acquire);
    if (state == IDX_SECTION_NEW) {
        bool is_good = hash64(s->bytes) == s->checksum;
        state = is_good ? IDX_SECTION_GOOD : IDX_SECTION_BAD;
        if (!is_good)
            atomic_store_explicit(&s->health->is_corrupt, 1, memory_order_relaxed);
        atomic_store_explicit(&s->state, state, memory_order_release);
    }
    return state == IDX_SECTION_GOOD;
}
