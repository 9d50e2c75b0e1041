/* What is said for an item, part by part: cut, in which language, edited or removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify/outbox_plan.h"

static const int64_t now = 1790000000000;

enum { HOUR_MS = 3600000, DAY_MS = 24 * HOUR_MS };

struct fixture {
    struct outward_config config;
    struct outward_account accounts[2];
    struct outward_outlet outlets[4];
    struct outbox_plan *plan;
    Desg__V1__OutboxItem item;
    Desg__V1__ReplyItem reply;
    Desg__V1__ReceiptItem receipt;
    Desg__V1__BroadcastItem broadcast;
    Desg__V1__Broadcast version;
    Desg__V1__BroadcastText en, cy;
    uint8_t id[ID_BYTES];
    char objects[2][PLATFORM_OBJECT_BYTES];
    struct outbox_posted posted;
    struct error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->accounts[0] = (struct outward_account){ .channel = (char *)"facebook",
                                               .account = (char *)"1001",
                                               .base_url = strdup("https://graph.example/v25.0"),
                                               .token_file = strdup("/nowhere/token"),
                                               .has_human_agent = true };
    f->accounts[1] = f->accounts[0];
    f->accounts[1].account = (char *)"1002";
    f->accounts[1].has_human_agent = false;
    f->outlets[0] = (struct outward_outlet){ .name = (char *)"page",
                                             .kind = (char *)"facebook",
                                             .account = (char *)"1001",
                                             .token_file = (char *)"/nowhere/token" };
    f->outlets[1] = (struct outward_outlet){ .name = (char *)"x",
                                             .kind = (char *)"x",
                                             .account = (char *)"77",
                                             .token_file = (char *)"/nowhere/token" };
    f->outlets[2] = (struct outward_outlet){ .name = (char *)"feed", .kind = (char *)"feed" };
    f->outlets[3] = (struct outward_outlet){ .name = (char *)"toot",
                                             .kind = (char *)"mastodon",
                                             .token_file = (char *)"/nowhere/token" };
    f->config.accounts = f->accounts;
    f->config.accounts_count = 2;
    f->config.outlets = f->outlets;
    f->config.outlets_count = 4;
    f->config.receipts.text = (struct outward_text){ (char *)"Got it: {reference}. Call 999.",
                                                     (char *)"Diolch: {reference}. Ffoniwch 999." };
    f->config.receipts.neutral =
        (struct outward_text){ (char *)"Thank you. {reference}", (char *)"Diolch. {reference}" };
    desg__v1__outbox_item__init(&f->item);
    desg__v1__reply_item__init(&f->reply);
    desg__v1__receipt_item__init(&f->receipt);
    desg__v1__broadcast_item__init(&f->broadcast);
    desg__v1__broadcast__init(&f->version);
    desg__v1__broadcast_text__init(&f->en);
    desg__v1__broadcast_text__init(&f->cy);
    f->item.id = (ProtobufCBinaryData){ ID_BYTES, f->id };
    f->receipt.conversation_id = f->item.id;
    f->receipt.received_at_ms = now;
    f->version.id = f->item.id;
    f->version.version = 1;
    f->version.kind = DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ROAD_CLOSURE;
    f->version.en = &f->en;
    f->version.cy = &f->cy;
    f->version.expires_at_ms = now + DAY_MS;
    f->en.headline = (char *)"Road closed";
    f->cy.headline = (char *)"Ffordd ar gau";
    f->broadcast.broadcast = &f->version;
    f->posted.objects = f->objects;
    (void)snprintf(f->objects[0], sizeof f->objects[0], "post-1");
    (void)snprintf(f->objects[1], sizeof f->objects[1], "post-2");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    outbox_plan_destroy(&f->plan);
    free(f->accounts[0].base_url);
    free(f->accounts[0].token_file);
    free(f);
    return 0;
}

static struct outbox_way to_account(const struct fixture *f, size_t index)
{
    return (struct outbox_way){ .config = &f->config,
                                .account = &f->accounts[index],
                                .platform = platform_for_channel("facebook") };
}

static struct outbox_way to_outlet(const struct fixture *f, size_t index)
{
    return (struct outbox_way){ .config = &f->config,
                                .outlet = &f->outlets[index],
                                .platform = platform_for_outlet(f->outlets[index].kind) };
}

static const struct outbox_plan *plan(struct fixture *f, struct outbox_way way)
{
    outbox_plan_destroy(&f->plan);
    if (outbox_plan_make(&way, &f->item, &f->posted, now, &f->plan, &f->err) != 0)
        fail_msg("%s", f->err.text);
    return f->plan;
}

static const struct outbox_plan *plan_reply(struct fixture *f, const char *text)
{
    f->item.what_case = DESG__V1__OUTBOX_ITEM__WHAT_REPLY;
    f->item.reply = &f->reply;
    f->reply.text = (char *)text;
    return plan(f, to_account(f, 0));
}

static const struct outbox_plan *plan_receipt(struct fixture *f, Desg__V1__Language language)
{
    f->item.what_case = DESG__V1__OUTBOX_ITEM__WHAT_RECEIPT;
    f->item.receipt = &f->receipt;
    f->receipt.language = language;
    return plan(f, to_account(f, 0));
}

static const struct outbox_plan *plan_broadcast(struct fixture *f, size_t outlet,
                                                Desg__V1__BroadcastAction action, size_t posted)
{
    f->item.what_case = DESG__V1__OUTBOX_ITEM__WHAT_BROADCAST;
    f->item.broadcast = &f->broadcast;
    f->broadcast.action = action;
    f->posted.count = posted;
    return plan(f, to_outlet(f, outlet));
}

#define POST   DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_POST
#define UPDATE DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_UPDATE
#define CANCEL DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_CANCEL
#define END    DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_END

enum { PAGE, X, FEED, TOOT };

/* --- replies --- */

static void a_text_is_cut_to_what_the_platform_takes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(plan_reply(f, "short")->count, 1);
    char text[4001] = "";
    for (unsigned n = 0; strlen(text) < 3900; n++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "Sentence number %u. ", n);
    const struct outbox_plan *cut = plan_reply(f, text);
    assert_int_equal(cut->count, 3);
    for (size_t i = 0; i < cut->count; i++)
        assert_in_range(strlen(cut->parts[i].text), 1, 1900);
}

static void an_empty_reply_is_refused(void **state)
{
    struct fixture *f = *state;
    struct outbox_way way = to_account(f, 0);
    f->item.what_case = DESG__V1__OUTBOX_ITEM__WHAT_REPLY;
    f->item.reply = &f->reply;
    f->reply.text = (char *)"";
    assert_int_equal(outbox_plan_make(&way, &f->item, &f->posted, now, &f->plan, &f->err), -1);
    assert_int_equal(f->err.kind, ERROR_INVALID);
}

static void a_reply_at_an_outlet_is_refused(void **state)
{
    struct fixture *f = *state;
    struct outbox_way way = to_outlet(f, PAGE);
    f->item.what_case = DESG__V1__OUTBOX_ITEM__WHAT_REPLY;
    f->item.reply = &f->reply;
    assert_int_equal(outbox_plan_make(&way, &f->item, &f->posted, now, &f->plan, &f->err), -1);
    assert_int_equal(f->err.kind, ERROR_INVALID);
}

static int window(struct fixture *f, size_t account, int64_t ago_ms, bool *is_human)
{
    struct outbox_way way = to_account(f, account);
    (void)plan_reply(f, "words");
    return outbox_plan_window(&way, &f->item, true, now - ago_ms, now, is_human, &f->err);
}

static void the_human_mark_is_for_a_person_between_a_day_and_a_week(void **state)
{
    struct fixture *f = *state;
    bool is_human = true;
    assert_int_equal(window(f, 0, HOUR_MS, &is_human), 0);
    assert_false(is_human);
    assert_int_equal(window(f, 0, 2LL * DAY_MS, &is_human), 0);
    assert_true(is_human);
    assert_int_equal(window(f, 0, 8LL * DAY_MS, &is_human), -1);
    assert_int_equal(f->err.kind, ERROR_INVALID);
    assert_int_equal(window(f, 1, 2LL * DAY_MS, &is_human), -1); /* not granted to that account */
}

static void a_receipt_never_bears_the_human_mark(void **state)
{
    struct fixture *f = *state;
    bool is_human = true;
    struct outbox_way way = to_account(f, 0);
    (void)plan_receipt(f, DESG__V1__LANGUAGE__LANGUAGE_EN);
    assert_int_equal(outbox_plan_window(&way, &f->item, false, 0, now, &is_human, &f->err), 0);
    assert_false(is_human);
    f->receipt.received_at_ms = now - 2LL * DAY_MS;
    assert_int_equal(outbox_plan_window(&way, &f->item, false, 0, now, &is_human, &f->err), -1);
    assert_false(is_human);
}

static void a_receipts_window_counts_from_when_the_person_wrote(void **state)
{
    struct fixture *f = *state;
    bool is_human = true;
    struct outbox_way way = to_account(f, 0);
    (void)plan_receipt(f, DESG__V1__LANGUAGE__LANGUAGE_EN);
    f->receipt.written_at_ms = now - DAY_MS + HOUR_MS;
    assert_int_equal(outbox_plan_window(&way, &f->item, false, 0, now, &is_human, &f->err), 0);
    f->receipt.written_at_ms = now - DAY_MS - HOUR_MS; /* it was held up on its way to us */
    assert_int_equal(outbox_plan_window(&way, &f->item, false, 0, now, &is_human, &f->err), -1);
    f->receipt.received_at_ms = now - 2LL * DAY_MS;
    f->receipt.written_at_ms = now + DAY_MS; /* their clock is ahead */
    assert_int_equal(outbox_plan_window(&way, &f->item, false, 0, now, &is_human, &f->err), -1);
}

static void begun_before_a_restart_the_platform_judges_the_window(void **state)
{
    struct fixture *f = *state;
    bool is_human = true;
    struct outbox_way way = to_account(f, 0);
    (void)plan_reply(f, "words");
    assert_int_equal(outbox_plan_window(&way, &f->item, false, 0, now, &is_human, &f->err), 0);
    assert_false(is_human);
    assert_int_equal(outbox_plan_window(&way, &f->item, true, 0, now, &is_human, &f->err), -1);
}

/* --- receipts --- */

static void a_receipt_speaks_the_language_of_the_message(void **state)
{
    static const Desg__V1__Language both[] = { DESG__V1__LANGUAGE__LANGUAGE_MIXED,
                                               DESG__V1__LANGUAGE__LANGUAGE_UNSURE,
                                               DESG__V1__LANGUAGE__LANGUAGE_UNSPECIFIED };
    struct fixture *f = *state;
    const char *text = plan_receipt(f, DESG__V1__LANGUAGE__LANGUAGE_EN)->parts[0].text;
    assert_non_null(strstr(text, "Got it: "));
    assert_null(strstr(text, "Diolch"));
    assert_null(strstr(text, "{reference}"));
    text = plan_receipt(f, DESG__V1__LANGUAGE__LANGUAGE_CY)->parts[0].text;
    assert_non_null(strstr(text, "Diolch"));
    assert_null(strstr(text, "Got it"));
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++) {
        text = plan_receipt(f, both[i])->parts[0].text;
        assert_non_null(strstr(text, "Got it"));
        assert_non_null(strstr(text, "Diolch"));
    }
}

/* What Redis says of the conversation, or of the person's wish, counts over the message. */
static void a_receipt_s_language_may_be_known_better(void **state)
{
    struct fixture *f = *state;
    f->item.language = DESG__V1__LANGUAGE__LANGUAGE_CY;
    const char *text = plan_receipt(f, DESG__V1__LANGUAGE__LANGUAGE_EN)->parts[0].text;
    assert_non_null(strstr(text, "Diolch"));
    assert_null(strstr(text, "Got it"));
    f->item.language = DESG__V1__LANGUAGE__LANGUAGE_MIXED;
    text = plan_receipt(f, DESG__V1__LANGUAGE__LANGUAGE_EN)->parts[0].text;
    assert_non_null(strstr(text, "Diolch"));
    assert_non_null(strstr(text, "Got it"));
}

static void of_a_sensitive_matter_it_says_nothing(void **state)
{
    struct fixture *f = *state;
    f->receipt.is_sensitive = 1;
    const char *text = plan_receipt(f, DESG__V1__LANGUAGE__LANGUAGE_EN)->parts[0].text;
    assert_ptr_equal(strstr(text, "Thank you."), text);
}

static void receipts_may_be_off(void **state)
{
    struct fixture *f = *state;
    bool off = false;
    struct outbox_way way = to_account(f, 0);
    f->config.receipts.is_on = &off;
    f->item.what_case = DESG__V1__OUTBOX_ITEM__WHAT_RECEIPT;
    f->item.receipt = &f->receipt;
    assert_int_equal(outbox_plan_make(&way, &f->item, &f->posted, now, &f->plan, &f->err), -1);
    assert_int_equal(f->err.kind, ERROR_INVALID);
}

/* --- broadcasts --- */

static void what_can_be_edited_is_edited(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(plan_broadcast(f, PAGE, POST, 0)->parts[0].deed, OUTBOX_SEND);
    const struct outbox_plan *update = plan_broadcast(f, PAGE, UPDATE, 1);
    assert_int_equal(update->count, 1);
    assert_int_equal(update->parts[0].deed, OUTBOX_EDIT);
    assert_string_equal(update->parts[0].object_id, "post-1");
    assert_int_equal(plan_broadcast(f, PAGE, UPDATE, 0)->parts[0].deed, OUTBOX_SEND);
    assert_int_equal(plan_broadcast(f, PAGE, CANCEL, 1)->parts[0].deed, OUTBOX_EDIT);
    assert_int_equal(plan_broadcast(f, PAGE, END, 1)->parts[0].deed, OUTBOX_EDIT);
}

static void a_post_is_edited_in_its_own_language(void **state)
{
    struct fixture *f = *state;
    const char *languages[2] = { "en", NULL };
    f->posted.languages = languages;
    f->cy.headline = (char *)"";
    assert_int_equal(plan_broadcast(f, TOOT, POST, 0)->count, 1);
    f->cy.headline = (char *)"Ffordd ar gau"; /* the Welsh that was owed */
    const struct outbox_plan *update = plan_broadcast(f, TOOT, UPDATE, 1);
    assert_int_equal(update->count, 2);
    assert_string_equal(update->parts[0].language, "cy");
    assert_int_equal(update->parts[0].deed, OUTBOX_SEND);
    assert_string_equal(update->parts[0].object_id, "");
    assert_string_equal(update->parts[1].language, "en");
    assert_int_equal(update->parts[1].deed, OUTBOX_EDIT);
    assert_string_equal(update->parts[1].object_id, "post-1");
    languages[1] = "cy"; /* it came later, and stands second */
    update = plan_broadcast(f, TOOT, UPDATE, 2);
    assert_int_equal(update->count, 2);
    assert_string_equal(update->parts[0].object_id, "post-2");
    assert_string_equal(update->parts[1].object_id, "post-1");
    f->cy.headline = (char *)""; /* and goes, if it is taken out again */
    update = plan_broadcast(f, TOOT, UPDATE, 2);
    assert_int_equal(update->count, 2);
    assert_string_equal(update->parts[0].object_id, "post-1");
    assert_int_equal(update->parts[1].deed, OUTBOX_REMOVE);
    assert_string_equal(update->parts[1].object_id, "post-2");
}

static void a_post_of_which_nobody_knows_the_language_is_posted_anew(void **state)
{
    struct fixture *f = *state;
    const char *languages[2] = { NULL, NULL };
    f->posted.languages = languages;
    const struct outbox_plan *update = plan_broadcast(f, TOOT, UPDATE, 2);
    assert_int_equal(update->count, 4);
    assert_int_equal(update->parts[0].deed, OUTBOX_SEND);
    assert_int_equal(update->parts[1].deed, OUTBOX_SEND);
    assert_int_equal(update->parts[2].deed, OUTBOX_REMOVE);
    assert_int_equal(update->parts[3].deed, OUTBOX_REMOVE);
    f->outlets[TOOT].language = (char *)"cy"; /* but where there is one alone it is that */
    update = plan_broadcast(f, TOOT, UPDATE, 1);
    assert_int_equal(update->count, 1);
    assert_int_equal(update->parts[0].deed, OUTBOX_EDIT);
}

static void an_edit_that_is_refused_becomes_a_removal(void **state)
{
    struct fixture *f = *state;
    struct outbox_way way = to_outlet(f, PAGE);
    (void)plan_broadcast(f, PAGE, CANCEL, 1);
    assert_true(outbox_plan_remove_instead(&way, f->plan, 0));
    assert_int_equal(f->plan->parts[0].deed, OUTBOX_REMOVE);
    assert_false(outbox_plan_remove_instead(&way, f->plan, 0));
    (void)plan_broadcast(f, PAGE, UPDATE, 1); /* a new version is not to vanish */
    assert_false(outbox_plan_remove_instead(&way, f->plan, 0));
}

static void an_appeal_is_taken_back_whole(void **state)
{
    struct fixture *f = *state;
    f->version.kind = DESG__V1__BROADCAST_KIND__BROADCAST_KIND_APPEAL;
    const struct outbox_plan *cancel = plan_broadcast(f, PAGE, CANCEL, 2);
    assert_int_equal(cancel->count, 2);
    assert_int_equal(cancel->parts[0].deed, OUTBOX_REMOVE);
    assert_string_equal(cancel->parts[0].object_id, "post-2");
    assert_string_equal(cancel->parts[1].object_id, "post-1");
}

static void what_cannot_be_edited_is_posted_anew_and_removed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(plan_broadcast(f, X, UPDATE, 1)->parts[0].deed, OUTBOX_SEND);
    assert_int_equal(plan_broadcast(f, X, CANCEL, 2)->count, 2);
    assert_int_equal(f->plan->parts[0].deed, OUTBOX_REMOVE);
    assert_int_equal(plan_broadcast(f, X, END, 1)->parts[0].deed, OUTBOX_REMOVE);
    f->version.says_ended = 1; /* "now reopened": as an answer to what was posted */
    const struct outbox_plan *end = plan_broadcast(f, X, END, 1);
    assert_int_equal(end->parts[0].deed, OUTBOX_SEND);
    assert_true(end->parts[0].is_reply);
    assert_string_equal(end->parts[0].object_id, "post-1");
}

static void what_was_never_posted_needs_no_taking_back(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(plan_broadcast(f, PAGE, CANCEL, 0)->parts[0].deed, OUTBOX_NOTHING);
    assert_int_equal(plan_broadcast(f, X, END, 0)->parts[0].deed, OUTBOX_NOTHING);
}

static void the_feed_is_called_by_nobody(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(plan_broadcast(f, FEED, POST, 0)->parts[0].deed, OUTBOX_NOTHING);
    assert_true(strlen(f->plan->parts[0].object_id) > 32); /* its CAP identifier */
}

/* --- requests --- */

static void a_secret_that_cannot_be_read_is_no_fault_of_the_message(void **state)
{
    struct fixture *f = *state;
    struct outbox_way way = to_account(f, 0);
    struct platform_request request = { 0 };
    (void)plan_reply(f, "words");
    f->reply.person = (char *)"2002";
    const struct outbox_request ask = {
        .way = &way, .item = &f->item, .plan = f->plan, .before = "", .unix_ms = now
    };
    assert_int_equal(outbox_plan_request(&ask, OUTBOX_REQUEST_DEED, &request, &f->err), -1);
    assert_int_equal(f->err.kind, ERROR_CONFIG);
    assert_null(strstr(f->err.text, "/nowhere"));
}

static void marks_are_the_same_each_time(void **state)
{
    struct fixture *f = *state;
    struct outbox_way way = to_account(f, 0);
    struct outbox_marks one, two;
    struct platform_message message;
    (void)plan_reply(f, "words");
    const struct outbox_request ask = {
        .way = &way, .item = &f->item, .plan = f->plan, .before = "", .unix_ms = now
    };
    outbox_plan_message(&ask, &one, &message);
    outbox_plan_message(&ask, &two, &message);
    assert_string_equal(one.ref, "desk:00000000000000000000000000000000/0");
    assert_string_equal(one.ref, two.ref);
    assert_string_equal(one.key, two.key);
}

#define WITH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_text_is_cut_to_what_the_platform_takes),
        WITH(an_empty_reply_is_refused),
        WITH(a_reply_at_an_outlet_is_refused),
        WITH(the_human_mark_is_for_a_person_between_a_day_and_a_week),
        WITH(a_receipt_never_bears_the_human_mark),
        WITH(a_receipts_window_counts_from_when_the_person_wrote),
        WITH(begun_before_a_restart_the_platform_judges_the_window),
        WITH(a_receipt_speaks_the_language_of_the_message),
        WITH(a_receipt_s_language_may_be_known_better),
        WITH(of_a_sensitive_matter_it_says_nothing),
        WITH(receipts_may_be_off),
        WITH(what_can_be_edited_is_edited),
        WITH(a_post_is_edited_in_its_own_language),
        WITH(a_post_of_which_nobody_knows_the_language_is_posted_anew),
        WITH(an_edit_that_is_refused_becomes_a_removal),
        WITH(an_appeal_is_taken_back_whole),
        WITH(what_cannot_be_edited_is_posted_anew_and_removed),
        WITH(what_was_never_posted_needs_no_taking_back),
        WITH(the_feed_is_called_by_nobody),
        WITH(a_secret_that_cannot_be_read_is_no_fault_of_the_message),
        WITH(marks_are_the_same_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
