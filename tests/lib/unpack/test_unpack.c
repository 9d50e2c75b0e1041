#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "desg/v1/event.pb-c.h"
#include "scarce_memory.h"
#include "unpack/unpack.h"

enum { BYTES_MAX = 512, ALLOCATIONS_MAX = 64 };

static size_t pack_event(uint8_t bytes[static BYTES_MAX])
{
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    Desg__V1__Attachment attachment = DESG__V1__ATTACHMENT__INIT;
    Desg__V1__Attachment *attachments[] = { &attachment };
    event.text = (char *)"they are at the door";
    event.channel = (char *)"web";
    attachment.type = (char *)"image";
    event.attachments = attachments;
    event.n_attachments = 1;
    assert_in_range(desg__v1__event__get_packed_size(&event), 1, BYTES_MAX);
    return desg__v1__event__pack(&event, bytes);
}

static void takes_apart_what_is_one(void **state)
{
    (void)state;
    struct error err = { 0 };
    uint8_t bytes[BYTES_MAX];
    size_t length = pack_event(bytes);
    Desg__V1__Event *event = unpack(&desg__v1__event__descriptor, bytes, length, &err);
    assert_non_null(event);
    assert_string_equal(event->text, "they are at the door");
    assert_int_equal(event->n_attachments, 1);
    assert_int_equal(err.kind, ERROR_NONE);
    desg__v1__event__free_unpacked(event, NULL);
}

static void nothing_at_all_is_an_empty_message(void **state)
{
    (void)state;
    struct error err = { 0 };
    Desg__V1__Event *event = unpack(&desg__v1__event__descriptor, NULL, 0, &err);
    assert_non_null(event);
    desg__v1__event__free_unpacked(event, NULL);
}

static void bytes_that_are_none_are_invalid_whatever_the_memory(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    size_t length = pack_event(bytes);
    for (size_t cut = 1; cut < 8; cut++) { /* inside the last field: the attachment */
        struct error err = { 0 };
        assert_null(unpack(&desg__v1__event__descriptor, bytes, length - cut, &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_non_null(strstr(err.text, "Event"));
    }
}

/* The same bytes that are a message with memory are never called none without. */
static void a_want_of_memory_is_no_fault_of_the_bytes(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    size_t length = pack_event(bytes), refusals = 0;
    Desg__V1__Event *event = NULL;
    for (size_t count = 0; count < ALLOCATIONS_MAX && !event; count++) {
        struct error err = { 0 };
        memory_lasts(count);
        event = unpack(&desg__v1__event__descriptor, bytes, length, &err);
        size_t failed = memory_is_plenty();
        assert_int_equal(failed > 0, event == NULL);
        if (!event)
            assert_int_equal(err.kind, ERROR_SYSTEM);
        refusals += event == NULL;
    }
    assert_non_null(event);
    assert_in_range(refusals, 4, ALLOCATIONS_MAX); /* message, texts, list, attachment */
    desg__v1__event__free_unpacked(event, NULL);
}

/* The status of a child that takes a journal's bytes apart with that much memory. */
static int ended_with(const uint8_t *bytes, size_t length, size_t allocations)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        memory_lasts(allocations);
        _exit(unpack_or_end(&desg__v1__event__descriptor, bytes, length) ? 1 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_journal_is_read_again_rather_than_passed_over(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    size_t length = pack_event(bytes);
    assert_int_equal(ended_with(bytes, length, ALLOCATIONS_MAX), 1);
    assert_int_equal(ended_with(bytes, length, 1), EX_OSERR);
    assert_int_equal(ended_with(bytes, length - 1, ALLOCATIONS_MAX), 2);
}

static void a_copy_is_its_own_and_needs_memory(void **state)
{
    (void)state;
    struct error err = { 0 };
    uint8_t bytes[BYTES_MAX], again[BYTES_MAX];
    size_t length = pack_event(bytes);
    Desg__V1__Event *event = unpack(&desg__v1__event__descriptor, bytes, length, &err);
    assert_non_null(event);
    for (size_t allocations = 0; allocations < 3; allocations++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            memory_lasts(allocations);
            _exit(unpack_copy(&event->base) ? 1 : 2);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), EX_OSERR);
    }
    Desg__V1__Event *copy = unpack_copy(&event->base);
    desg__v1__event__free_unpacked(event, NULL);
    assert_int_equal(desg__v1__event__pack(copy, again), length);
    assert_memory_equal(again, bytes, length);
    desg__v1__event__free_unpacked(copy, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_apart_what_is_one),
        cmocka_unit_test(nothing_at_all_is_an_empty_message),
        cmocka_unit_test(bytes_that_are_none_are_invalid_whatever_the_memory),
        cmocka_unit_test(a_want_of_memory_is_no_fault_of_the_bytes),
        cmocka_unit_test(a_journal_is_read_again_rather_than_passed_over),
        cmocka_unit_test(a_copy_is_its_own_and_needs_memory),
    };
    return cmocka_run_group_tests_name("unpack", tests, NULL, NULL);
}
