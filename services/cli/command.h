/* command - what every desg command gets and how it ends.
 * Exit codes: 0 done, 1 nothing there, 64 bad arguments, 65 refused (stale fence, no such id), 71
 * the machine failed us, 75 something needed is away (try again), 78 configuration. */
#ifndef DESG_CLI_COMMAND_H
#define DESG_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cli/api_client.h"
#include "config/config.h"
#include "error/error.h"
#include "ids/ids.h"
#include "store/store.h"

enum {
    EXIT_NOTHING = 1,
    EXIT_USAGE = 64,
    EXIT_REFUSED = 65,
    EXIT_MACHINE = 71,
    EXIT_AWAY = 75,
    EXIT_CONFIG = 78
};

/* Rows: what desk's API lists at once, what is printed of the audit log (read in pieces). */
enum { COMMAND_LIST_MAX = 2000, COMMAND_AUDIT_MAX = 10000 };

/* An option that may come more than once, or says a member of a broadcast. */
enum { COMMAND_GIVEN_MAX = 128, COMMAND_WORDS_MAX = 64 };
struct command_given {
    const char *name;  /* without the dashes */
    const char *value; /* NULL: it takes none */
};

struct command_line {
    const struct config_common *common;
    bool is_json;
    bool is_all;            /* --all */
    bool is_fold;           /* --fold */
    bool is_insecure;       /* --insecure */
    const char *agent;      /* --agent */
    const char *token_file; /* NULL: none is known */
    const char *desk;       /* --desk, client.url; NULL or "": those that run here */
    const char *reason;     /* --reason */
    const char *text;       /* --text */
    const char *dispatcher; /* --dispatcher */
    const char *log_number; /* --log-number */
    const char *queue;      /* --queue */
    const char *fence;      /* --fence */
    const char *last_event; /* --last-event */
    size_t limit;           /* --limit, default 50 */
    const char *config_path;
    const char *since;         /* --since */
    const char *until;         /* --until */
    const char *ingest;        /* --ingest */
    const char *archive;       /* --archive */
    const char *into;          /* --into */
    const char *name;          /* --name */
    const char *limit_seconds; /* --for; keys: for whom */
    const char *event;         /* --event */
    const char *minutes;       /* --minutes */
    const char *state;         /* --state */
    const char *file;          /* --file */
    const char *secret_file;   /* --secret-file */
    const char *timestamp;     /* --timestamp */
    const char *signature;     /* --signature */
    struct command_given given[COMMAND_GIVEN_MAX];
    size_t given_count;
    const char *rules;                    /* --rules */
    const char *model;                    /* --model */
    const char *channel;                  /* --channel */
    bool is_shadow;                       /* --shadow */
    bool is_train;                        /* --train */
    const char *edition;                  /* --edition */
    const char *sets;                     /* --sets */
    const char *out;                      /* --out */
    const char *explain;                  /* --explain */
    const char *compare;                  /* --compare */
    const char *by;                       /* --by */
    const char *verdicts;                 /* --verdicts */
    bool is_held_out;                     /* --held-out */
    const char *passwords;                /* --passwords */
    const char *force;                    /* --force */
    const char *words[COMMAND_WORDS_MAX]; /* after the command's name */
    size_t word_count;
};

/* Each returns the exit code and has said on stderr what went wrong. */
int command_queue(const struct command_line *line);
int command_show(const struct command_line *line);
int command_claim(const struct command_line *line);
int command_heartbeat(const struct command_line *line);
int command_release(const struct command_line *line);
int command_close(const struct command_line *line);
int command_grade(const struct command_line *line);
int command_note(const struct command_line *line);
int command_language(const struct command_line *line);
int command_alerts(const struct command_line *line);
int command_ack(const struct command_line *line);
int command_audit(const struct command_line *line);
int command_trace(const struct command_line *line);
int command_status(const struct command_line *line);
int command_quarantine(const struct command_line *line);
int command_reply(const struct command_line *line);
int command_broadcast(const struct command_line *line);
int command_freeze(const struct command_line *line);
int command_unknown(const struct command_line *line);
int command_tasks(const struct command_line *line);
int command_places(const struct command_line *line);
int command_replay(const struct command_line *line);
int command_drain(const struct command_line *line);
int command_adopt(const struct command_line *line);
int command_verify(const struct command_line *line);
int command_triage(const struct command_line *line);
int command_redis_acl(const struct command_line *line);
int command_keys(const struct command_line *line);
/* desg replay --archive: imports what was stored since then into line->into and adopts that. */
int command_adopt_archive(const struct command_line *line, int64_t since_ms, int64_t until_ms);

/* Says err on stderr and returns its exit code. */
int command_fail(const struct error *err);

/* The same for a mistake in the command itself. */
int command_usage(const struct error *err);

/* Opens desk's API with the caller's token. NULL: err says why and what to do. */
struct api_client *command_open_desk(const struct command_line *line, struct error *err) MUST_USE;

/* Opens Redis as the configuration says: for status alone, which shows it even without a desk.
 * NULL: err says why and what to do. */
struct store *command_open_store(const struct command_line *line, struct error *err) MUST_USE;

/* The word at position as an id. ERROR_INVALID: missing or not 32 hex digits. */
int command_id(const struct command_line *line, size_t position, const char *what, struct id *out,
               struct error *err) MUST_USE;

/* Prints value as JSON on one line and returns 0. */
int command_print_json(const json_t *value);

#endif
