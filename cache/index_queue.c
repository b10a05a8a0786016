#include "cache/index_queue.h"

#include <stdlib.h>

enum status index_queue_init(struct index_queue *q)
{
    q->tail = &q->head;
    if (pthread_mutex_init(&q->mutex, NULL) != 0)
        return ST_NOMEM;
    if (pthread_cond_init(&q->filled, NULL) != 0)
        goto fail_filled;
    if (pthread_cond_init(&q->calmed, NULL) != 0)
        goto fail_calmed;
    return ST_OK;

fail_calmed:
    pthread_cond_destroy(&q->filled);
fail_filled:
    pthread_mutex_destroy(&q->mutex);
    return ST_NOMEM;
}

void index_queue_release(struct index_queue *q)
{
    while (q->head != NULL) {
        struct index_change *c = q->head;

        q->head = c->next;
        free(c);
    }
    pthread_cond_destroy(&q->calmed);
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->mutex);
}

enum status index_queue_put(struct index_queue *q, struct index_change *c)
{
    enum status st = ST_OK;

    pthread_mutex_lock(&q->mutex);
    if (q->count >= q->count_max || (q->count > 0 && q->bytes + c->bytes > q->bytes_max)) {
        q->dropped_total++;
        st = ST_OVERLOAD;
    } else {
        c->next = NULL;
        *q->tail = c;
        q->tail = &c->next;
        q->count++;
        q->bytes += c->bytes;
        q->adds_total++;
        pthread_cond_signal(&q->filled);
    }
    pthread_mutex_unlock(&q->mutex);
    return st;
}

/* The first one, off the queue; under the mutex. */
static struct index_change *unlink_at(struct index_queue *q, struct index_change **at)
{
    struct index_change *c = *at;

    *at = c->next;
    if (c->next == NULL)
        q->tail = at;
    q->count--;
    q->bytes -= c->bytes;
    return c;
}

void index_queue_forget(struct index_queue *q, const struct digest *partition,
                        const struct digest *key)
{
    pthread_mutex_lock(&q->mutex);
    for (struct index_change **at = &q->head; *at != NULL;) {
        if (digest_eq(&(*at)->key, key) && digest_eq(&(*at)->partition, partition))
            free(unlink_at(q, at));
        else
            at = &(*at)->next;
    }
    q->removes_total++;
    /* Who waits for the queue to empty may have waited for just these. */
    pthread_cond_broadcast(&q->calmed);
    pthread_mutex_unlock(&q->mutex);
}

bool index_queue_wait(struct index_queue *q)
{
    bool stopped;

    pthread_mutex_lock(&q->mutex);
    while (q->head == NULL && !q->nudged && !q->stopped)
        pthread_cond_wait(&q->filled, &q->mutex);
    stopped = q->stopped;
    pthread_mutex_unlock(&q->mutex);
    return !stopped;
}

struct index_change *index_queue_take(struct index_queue *q, size_t n)
{
    struct index_change *list = NULL, **tail = &list;

    pthread_mutex_lock(&q->mutex);
    while (q->head != NULL && n-- > 0) {
        *tail = unlink_at(q, &q->head);
        tail = &(*tail)->next;
    }
    *tail = NULL;
    q->in_hand = true;
    q->nudged = false;
    pthread_mutex_unlock(&q->mutex);
    return list;
}

void index_queue_done(struct index_queue *q, bool restless)
{
    pthread_mutex_lock(&q->mutex);
    q->in_hand = false;
    q->restless = restless;
    pthread_cond_broadcast(&q->calmed);
    pthread_mutex_unlock(&q->mutex);
}

void index_queue_nudge(struct index_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->nudged = true;
    pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->mutex);
}

void index_queue_stop(struct index_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->stopped = true;
    pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->mutex);
}

void index_queue_flush(struct index_queue *q, bool calm)
{
    pthread_mutex_lock(&q->mutex);
    while (q->head != NULL || q->in_hand || (calm && (q->restless || q->nudged)))
        pthread_cond_wait(&q->calmed, &q->mutex);
    pthread_mutex_unlock(&q->mutex);
}
