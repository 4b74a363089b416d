#include "indexer/turn.h"

#include "base/must.h"

void
ing_turn_init(struct ing_turn *t)
{
    *t = (struct ing_turn){0};
    must(pthread_mutex_init(&t->lock, NULL) == 0);
    must(pthread_cond_init(&t->moved, NULL) == 0);
}

void
ing_turn_fini(struct ing_turn *t)
{
    pthread_cond_destroy(&t->moved);
    pthread_mutex_destroy(&t->lock);
}

void
ing_turn_take(struct ing_turn *t)
{
    must(pthread_mutex_lock(&t->lock) == 0);
    uint64_t mine = t->next++;
    while (t->serving != mine)
        must(pthread_cond_wait(&t->moved, &t->lock) == 0);
    must(pthread_mutex_unlock(&t->lock) == 0);
}

void
ing_turn_give(struct ing_turn *t)
{
    must(pthread_mutex_lock(&t->lock) == 0);
    t->serving++;
    must(pthread_cond_broadcast(&t->moved) == 0);
    must(pthread_mutex_unlock(&t->lock) == 0);
}
