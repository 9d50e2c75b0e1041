/* An archive file as a bad disk, or anybody, may hand it over: read to its end, whatever it holds.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "journal/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes given out are all there. */
static void touch(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        (void)*(volatile const uint8_t *)&bytes[i];
}

static void check_item(const struct archive_item *item, uint64_t size, uint64_t *passed_bytes)
{
    if (item->kind == ARCHIVE_RECORD) {
        assert(!item->record.is_damaged && item->record.body);
        touch(item->record.body, item->record.body_bytes);
        for (size_t i = 0; i < item->record.note_count; i++)
            touch(item->record.notes[i].bytes, item->record.notes[i].length);
    }
    if (item->kind == ARCHIVE_DAMAGED) {
        assert(item->reason && strlen(item->reason) > 0);
        *passed_bytes += item->passed_bytes;
        assert(*passed_bytes <= size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("archive", MFD_CLOEXEC);
    if (fd < 0)
        return 0;
    if (write(fd, data, size) != (ssize_t)size) {
        (void)close(fd);
        return 0;
    }
    struct error err = { 0 };
    struct archive_reader *reader = archive_open_fd(fd, NULL, &err);
    if (!reader)
        return 0;
    struct archive_about about;
    archive_describe(reader, &about);
    struct archive_item item = { .kind = ARCHIVE_RECORD };
    uint64_t passed_bytes = 0;
    size_t items = 0;
    while (item.kind != ARCHIVE_END && archive_next(reader, &item, &err) == 0) {
        check_item(&item, size, &passed_bytes);
        items++;
        assert(items <= size + 1); /* each item takes bytes: it comes to an end */
    }
    archive_close(&reader);
    return 0;
}
