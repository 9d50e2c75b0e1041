#include "journal/space.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

enum {
    FREE_DATABASE = 0, /* LMDB's own databases, by number */
    MAIN_DATABASE = 1,
    META_PAGES = 2,
    /* What one commit copies at most besides new records: the edges of all trees, the free list. */
    RESERVE_PAGES = 128,
    DISK_NEAR_ZERO_BYTES = 16 << 20,
    GETTING_FULL_PERCENT = 30,
    ROOMY_AGAIN_PERCENT = 35,
    LEAF_ROOM_BYTES = 4096 - 16, /* of a page of 4 KiB */
    NODE_OVERHEAD_BYTES = 8 + 2 + 10,
    INLINE_MAX_BYTES = 2000, /* longer values get pages of their own */
};

static int add_pages(MDB_txn *txn, MDB_dbi dbi, uint64_t *pages)
{
    MDB_stat status;
    int rc = mdb_stat(txn, dbi, &status);
    if (rc == 0)
        *pages += status.ms_branch_pages + status.ms_leaf_pages + status.ms_overflow_pages;
    return rc;
}

/* Pages in the free list that the next transaction may not use: freed by transaction bound or
 * later. The free list's keys are transactions, its values begin with a count. */
static int count_withheld(MDB_txn *txn, uint64_t bound, uint64_t *pages)
{
    MDB_cursor *cursor = NULL;
    int rc = mdb_cursor_open(txn, FREE_DATABASE, &cursor);
    if (rc != 0)
        return rc;
    MDB_val key;
    MDB_val value;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    while (rc == 0) {
        size_t freed_by = 0;
        size_t count = 0;
        memcpy(&freed_by, key.mv_data, sizeof freed_by);
        if (freed_by < bound)
            break;
        memcpy(&count, value.mv_data, sizeof count);
        *pages += count;
        rc = mdb_cursor_get(cursor, &key, &value, MDB_PREV);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int space_measure(const struct file *file, MDB_txn *txn, uint64_t oldest_reader, struct space *out)
{
    MDB_envinfo info;
    int rc = mdb_env_info(file->env, &info);
    uint64_t live = META_PAGES;
    const MDB_dbi databases[] = { FREE_DATABASE, MAIN_DATABASE, file->records, file->notes,
                                  file->meta };
    for (size_t i = 0; rc == 0 && i < sizeof databases / sizeof databases[0]; i++)
        rc = add_pages(txn, databases[i], &live);
    uint64_t bound = info.me_last_txnid < oldest_reader ? info.me_last_txnid : oldest_reader;
    uint64_t withheld = 0;
    if (rc == 0)
        rc = count_withheld(txn, bound, &withheld);
    if (rc != 0)
        return rc;
    out->max_bytes = info.me_mapsize;
    out->span_bytes = (uint64_t)(info.me_last_pgno + 1) * file->page_bytes;
    out->used_bytes = live * file->page_bytes;
    uint64_t taken_bytes = (live + withheld) * file->page_bytes;
    out->reusable_bytes = info.me_mapsize > taken_bytes ? info.me_mapsize - taken_bytes : 0;
    return 0;
}

uint64_t space_on_disk(const char *directory)
{
    struct statvfs status;
    if (statvfs(directory, &status) != 0)
        return UINT64_MAX;
    return (uint64_t)status.f_bavail * status.f_frsize;
}

uint64_t space_reserve_bytes(uint64_t max_bytes)
{
    uint64_t least_bytes = RESERVE_PAGES * UINT64_C(4096);
    uint64_t share_bytes = max_bytes / 128;
    return share_bytes > least_bytes ? share_bytes : least_bytes;
}

uint64_t space_cost_bytes(size_t value_bytes, size_t page_bytes)
{
    uint64_t cost_bytes;
    if (value_bytes <= INLINE_MAX_BYTES) {
        uint64_t per_page = LEAF_ROOM_BYTES / (value_bytes + NODE_OVERHEAD_BYTES);
        cost_bytes = page_bytes / (per_page > 1 ? per_page : 1);
    } else {
        cost_bytes = (value_bytes + page_bytes) / page_bytes * page_bytes + page_bytes / 16;
    }
    return cost_bytes + cost_bytes / 32; /* branches above the leaves */
}

enum journal_state space_state(const struct space *space, enum journal_state was)
{
    uint64_t reserve_bytes = space_reserve_bytes(space->max_bytes);
    /* A state ends later than it begins, or the journal would flap with every deletion. */
    uint64_t full_below_bytes = was == JOURNAL_FULL ? reserve_bytes * 3 / 2 : reserve_bytes * 9 / 8;
    if (space->reusable_bytes < full_below_bytes)
        return JOURNAL_FULL;
    uint64_t percent = was == JOURNAL_ROOMY ? GETTING_FULL_PERCENT : ROOMY_AGAIN_PERCENT;
    if (space->reusable_bytes < space->max_bytes / 100 * percent)
        return JOURNAL_GETTING_FULL;
    return JOURNAL_ROOMY;
}

bool space_is_disk_full(const char *directory)
{
    return space_on_disk(directory) < DISK_NEAR_ZERO_BYTES;
}

bool space_is_exhausted(int rc, const char *directory)
{
    if (rc == MDB_MAP_FULL || rc == ENOSPC || rc == EDQUOT)
        return true;
    /* LMDB reports a short write, which is how a disk fills up, as EIO. */
    return rc == EIO && space_is_disk_full(directory);
}
