/* A journal whose records, notes and ledger hold anything at all: it opens, reads to its end, gives
 * out only what passes its checks, and takes the next record under a number of its own. Input: a
 * line of puts: database (1 byte), key length (1), value length (2, little-endian), key, value. */
#include <assert.h>
#include <lmdb.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAP_BYTES = 4 << 20, KEY_MAX_BYTES = 14, PUTS_MAX = 200, VALUE_MAX_BYTES = 4096 };

static void put_all(MDB_txn *txn, const uint8_t *data, size_t size)
{
    static const char *const names[] = { "records", "notes", "meta" };
    MDB_dbi databases[3];
    for (size_t i = 0; i < 3; i++)
        assert(mdb_dbi_open(txn, names[i], MDB_CREATE, &databases[i]) == 0);
    for (int puts = 0; size >= 4 && puts < PUTS_MAX; puts++) {
        size_t key_bytes = 1 + data[1] % KEY_MAX_BYTES;
        size_t value_bytes = ((size_t)data[2] | (size_t)data[3] << 8) % VALUE_MAX_BYTES;
        if (size < 4 + key_bytes + value_bytes)
            return;
        MDB_val key = { key_bytes, (void *)(data + 4) };
        MDB_val value = { value_bytes, (void *)(data + 4 + key_bytes) };
        unsigned index = data[0] % 3;
        if (index != 2) /* the databases of sequences never had shorter keys */
            key.mv_size = index == 0 ? 8 : 14;
        if (size >= 4 + key.mv_size + value_bytes)
            (void)mdb_put(txn, databases[index], &key, &value, 0);
        data += 4 + key_bytes + value_bytes;
        size -= 4 + key_bytes + value_bytes;
    }
}

static void make_file(const char *directory, const uint8_t *data, size_t size)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    assert(mdb_env_create(&env) == 0);
    assert(mdb_env_set_maxdbs(env, 3) == 0 && mdb_env_set_mapsize(env, MAP_BYTES) == 0);
    assert(mdb_env_open(env, directory, MDB_NOTLS | MDB_NOSYNC, 0600) == 0);
    assert(mdb_txn_begin(env, NULL, 0, &txn) == 0);
    put_all(txn, data, size);
    assert(mdb_txn_commit(txn) == 0);
    mdb_env_close(env);
}

static void read_to_the_end(struct journal *journal)
{
    static struct journal_page page;
    struct error err = { 0 };
    uint64_t from = 0;
    size_t count = 0;
    do {
        assert(journal_read(journal, from, JOURNAL_PAGE_MAX_RECORDS, 1 << 20, &page, &err) == 0);
        count = page.count;
        for (size_t i = 0; i < count; i++) {
            assert(page.records[i].sequence >= from);
            assert(!page.records[i].is_damaged || page.records[i].body_bytes == 0);
            from = page.records[i].sequence + 1;
        }
        journal_page_clear(&page);
    } while (count > 0 && from != 0);
}

static void on_answer(void *arg, enum journal_outcome outcome, uint64_t sequence)
{
    *(uint64_t *)arg = outcome == JOURNAL_STORED ? sequence : 0;
}

static void use(const char *directory)
{
    struct metrics *metrics = metrics_new();
    const struct journal_options options = {
        .directory = directory, .max_bytes = MAP_BYTES, .retention_ms = 1000, .metrics = metrics
    };
    struct error err = { 0 };
    struct journal *journal = journal_open(&options, &err);
    if (journal) {
        struct journal_stats stats;
        journal_stats(journal, &stats);
        uint64_t stored = 0;
        read_to_the_end(journal);
        bool is_taken = journal_append(journal, 1, "next", 4, on_answer, &stored, &err) == 0;
        journal_close(&journal);
        assert(!is_taken || stored > stats.newest_sequence);
    }
    metrics_destroy(&metrics);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char directory[] = "/dev/shm/desg-fuzz-XXXXXX";
    static const char *const files[] = { "data.mdb", "lock.mdb", "lock" };
    if (!mkdtemp(directory))
        return 0;
    make_file(directory, data, size);
    use(directory);
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(directory);
    return 0;
}
