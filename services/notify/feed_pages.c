#include "notify/feed_pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/crypto.h"
#include "outward/feed_documents.h"
#include "outward/feed_words.h"

enum { ETAG_HASH_BYTES = 16, GONE_VERSIONS_MAX = 100, MS_PER_DAY = 86400000 };

#define PUBLISHED DESG__V1__BROADCAST_STATE__BROADCAST_STATE_PUBLISHED

static void write_etag(struct feed_page *page)
{
    uint8_t hash[CRYPTO_SHA256_BYTES];
    char hex[2 * ETAG_HASH_BYTES + 1];
    crypto_sha256(page->body ? page->body : "", page->length, hash);
    crypto_hex(hash, ETAG_HASH_BYTES, hex);
    (void)snprintf(page->etag, sizeof page->etag, "\"%s\"", hex);
}

/* body becomes the page's. */
static void add(struct feed_pages *self, const char *path, const char *type, char *body,
                int64_t modified_ms)
{
    struct feed_page *grown = reallocarray(self->pages, self->count + 1, sizeof *grown);
    if (!grown)
        abort();
    self->pages = grown;
    struct feed_page *page = &grown[self->count++];
    *page = (struct feed_page){ .type = type, .body = body, .length = body ? strlen(body) : 0 };
    (void)snprintf(page->path, sizeof page->path, "%s", path);
    time_t seconds = (time_t)(modified_ms / 1000);
    struct tm parts = { 0 };
    (void)gmtime_r(&seconds, &parts);
    (void)strftime(page->modified, sizeof page->modified, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    write_etag(page);
}

static void add_cap(struct feed_pages *self, const struct outward_feed *feed,
                    const Desg__V1__BroadcastNews *news, Desg__V1__BroadcastState state)
{
    char identifier[CAP_IDENTIFIER_BYTES];
    char path[FEED_PATH_BYTES];
    cap_identifier(news->broadcast, state, identifier);
    (void)snprintf(path, sizeof path, "/cap/%s.xml", identifier);
    add(self, path, "application/cap+xml", cap_document(feed, news->broadcast, state, news->at_ms),
        state == PUBLISHED ? news->broadcast->written_at_ms : news->at_ms);
}

/* What named a person is gone, and says so. */
static void add_gone(struct feed_pages *self, const Desg__V1__BroadcastNews *news)
{
    Desg__V1__Broadcast broadcast = *news->broadcast;
    uint32_t newest = broadcast.version;
    for (uint32_t back = 0; back < newest && back < GONE_VERSIONS_MAX; back++) {
        char identifier[CAP_IDENTIFIER_BYTES];
        char path[FEED_PATH_BYTES];
        broadcast.version = newest - back;
        cap_identifier(&broadcast, PUBLISHED, identifier);
        (void)snprintf(path, sizeof path, "/cap/%s.xml", identifier);
        add(self, path, "application/cap+xml", NULL, news->at_ms);
    }
}

static void add_messages(struct feed_pages *self, const struct outward_feed *feed,
                         const Desg__V1__BroadcastNews *news)
{
    if (feed_is_withdrawn(news->broadcast, news->state))
        add_gone(self, news);
    else
        add_cap(self, feed, news, PUBLISHED);
    if (feed_has_end(news->broadcast, news->state))
        add_cap(self, feed, news, news->state);
}

static int by_path(const void *one, const void *other)
{
    return strcmp(((const struct feed_page *)one)->path, ((const struct feed_page *)other)->path);
}

static int64_t modified_at(const struct feed_book *book, int64_t now_ms)
{
    return book->count > 0 ? book->news[0]->at_ms : now_ms - now_ms % MS_PER_DAY;
}

struct feed_pages *feed_pages_new(const struct outward_feed *feed, const struct feed_book *book,
                                  int64_t now_ms)
{
    struct feed_pages *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    const Desg__V1__BroadcastNews *const *news = (const Desg__V1__BroadcastNews *const *)book->news;
    int64_t modified_ms = modified_at(book, now_ms);
    add(self, "/feed.en.atom", "application/atom+xml; charset=utf-8",
        atom_document(feed, news, book->count, "en", now_ms), modified_ms);
    add(self, "/feed.cy.atom", "application/atom+xml; charset=utf-8",
        atom_document(feed, news, book->count, "cy", now_ms), modified_ms);
    add(self, "/datex.xml", "application/xml; charset=utf-8",
        datex_document(feed, news, book->count, now_ms), modified_ms);
    for (size_t i = 0; i < book->count; i++)
        add_messages(self, feed, book->news[i]);
    for (size_t i = 0; i < book->earlier_count; i++)
        add_messages(self, feed, book->earlier[i]);
    qsort(self->pages, self->count, sizeof self->pages[0], by_path);
    return self;
}

void feed_pages_destroy(struct feed_pages **self_p)
{
    struct feed_pages *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free(self->pages[i].body);
    free(self->pages);
    free(self);
    *self_p = NULL;
}

const struct feed_page *feed_pages_find(const struct feed_pages *self, const char *path)
{
    struct feed_page key = { 0 };
    if (strlen(path) >= sizeof key.path)
        return NULL;
    (void)snprintf(key.path, sizeof key.path, "%s", path);
    return bsearch(&key, self->pages, self->count, sizeof self->pages[0], by_path);
}
