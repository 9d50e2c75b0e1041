/* The mark and failover rules of docs/delivery.md ("History and mark") as a model for spin.
 * What stands for what in the code, what is left out and why: README.md beside this file.
 *
 * Bounds, by -D: INGESTS, EVENTS (each ingest's journal holds so many), FAULTS, WINDOW, BIRTHS.
 * With -D LIVENESS: faults end, and all is applied and marked.
 * With -D VERDICTS: rules change, and no verdict that was noted may be missing behind a mark.
 * Broken on purpose, by -D: NO_HISTORY_CHECK, NO_FENCE, KEY_TOKEN, NO_QUOTE, NO_BIRTH,
 * TRUST_ANY_BIRTH, COUNTS_AT_ONCE, NO_FIRST_MARK, TRUST_ANY_PAST. Each must give a
 * counterexample. */

#ifndef INGESTS
#define INGESTS 1
#endif
#ifndef EVENTS
#define EVENTS 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef WINDOW
#define WINDOW 3 /* messages of one ingest on their way at once */
#endif
#ifndef BIRTHS
#define BIRTHS 3 /* marks sent that begin a line, while faults last */
#endif
#define NODES 3

#define BIT(event) (1 << (event))       /* bit n is the event of sequence n + 1 */
#define UP_TO(mark) ((1 << (mark)) - 1) /* the events a mark covers */
#define ALL UP_TO(EVENTS)
#define NONE 0 /* no mark; a mark m is kept as m + 1. No history: they count from 1 */

/* --- Redis --- */

typedef Node {
    byte data[INGESTS]; /* bits of events applied */
    byte mark[INGESTS];
    byte birth[INGESTS]; /* of the mark: which MARK its line began with */
#ifdef VERDICTS
    byte raised[INGESTS]; /* bits of events whose verdict is that of the stricter rules */
#endif
    byte history;        /* master_replid */
    bool is_master;      /* believes so: takes writes */
};
Node node[NODES]; /* the first: the master that Sentinel names. Roles change places, not nodes */
byte histories = 1;
byte births;
byte faults;
bool is_calm; /* nothing goes wrong from here on */

/* --- ingest, and what is on its way for it --- */

typedef Mark {
    bool is_sent;
    byte history;
    byte sequence;
    byte quoted; /* the mark it replaces */
    byte birth;  /* and that one's birth */
    byte own;    /* its own: another if it begins a line, else the same */
};

typedef Ingest {
    byte history;   /* under which acknowledgements count; NONE: unknown */
    byte candidate; /* seen; counts once a mark is stored anew under it */
    byte candidate_mark;
    byte done;      /* bits */
    byte marked;
    byte marked_at_hello;
    byte quoted; /* the mark Redis has, as far as we know */
    byte birth;  /* and its birth */
    byte birth_at_hello;
    byte started_at; /* births given before this start */

#ifdef VERDICTS
    byte noted;  /* bits: the journal has the stricter verdict */
    byte judged; /* bits: the Done on its way tells it */
    byte began;  /* the birth under which the last history began */
#endif
    byte answer[EVENTS]; /* the history a Done of it tells; NONE: no Done on its way */

    bool is_told; /* History on its way; of several HELLOs only the newest one's counts */
    bool is_asked; /* in calm HELLO and MARK take turns */
    byte told_history;
    byte told_mark;
    byte told_birth;

    Mark newest; /* MARK at one route */
    Mark older;  /* MARK at the other, long on its way: nobody waits for its answer */
    bool is_marked; /* Marked on its way */
    bool is_stored;
    byte marked_history;
    byte marked_sequence;
    byte marked_birth;
};
Ingest ingest[INGESTS];
#define I ingest[i]

inline find_done_through(i)
{
    through = 0;
    do
    :: through < EVENTS && (I.done & BIT(through)) -> through++
    :: else -> break
    od
}

/* Also when a newer HELLO goes out, or a first mark: what an older HELLO hears counts no longer
 * (numbers). */
inline drop_told(i)
{
    I.is_told = false;
    I.told_history = NONE;
    I.told_mark = NONE;
    I.told_birth = NONE
}

inline drop_marked(i)
{
    I.is_marked = false;
    I.is_stored = false;
    I.marked_history = NONE;
    I.marked_sequence = 0;
    I.marked_birth = NONE
}

inline drop_mark(mark_request)
{
    mark_request.is_sent = false;
    mark_request.history = NONE;
    mark_request.sequence = 0;
    mark_request.birth = NONE;
    mark_request.quoted = NONE;
    mark_request.own = NONE
}

/* rewind_to() of custody.c: what was sent or answered before is void. That is the fence. */
inline rewind_to(i, to_history, to_mark)
{
    I.history = to_history;
    I.candidate = NONE;
    I.candidate_mark = 0;
    I.done = UP_TO(to_mark);
    I.marked = to_mark;
    I.marked_at_hello = 0;
#ifndef NO_FENCE
    at = 0;
    do
    :: at < EVENTS -> I.answer[at] = NONE; at++
    :: else -> break
    od;
    at = 0
#ifdef VERDICTS
    ;
    I.judged = 0
#endif
#endif
}

/* is_beat_trusted(): what we know, or a later mark of ours whose answer got lost. */
#if defined NO_BIRTH || defined TRUST_ANY_BIRTH
#define IS_TRUSTED(i, by_birth) true
#else
#define IS_TRUSTED(i, by_birth) \
    (by_birth == I.birth_at_hello || (by_birth > I.birth_at_hello && by_birth > I.started_at))
#endif

#define MARK_OF(by_mark) (by_mark == NONE -> 0 : by_mark - 1)

/* replay_from(): a mark that was not stored since the last history began tells of another past.
 * (There is no time here, so what is released is nothing.) */
#if defined VERDICTS && !defined TRUST_ANY_PAST
#define REPLAY_FROM(i, by_mark, by_birth) (by_birth == I.began -> MARK_OF(by_mark) : 0)
#else
#define REPLAY_FROM(i, by_mark, by_birth) MARK_OF(by_mark)
#endif

/* custody_history() and source_progress_history() */
inline take_history(i, by_history, by_mark, by_birth)
{
    if
#ifdef NO_FIRST_MARK
    :: by_history != I.history || MARK_OF(by_mark) < I.marked_at_hello ||
       !IS_TRUSTED(i, by_birth) ->
        rewind_to(i, by_history, MARK_OF(by_mark))
#elif defined COUNTS_AT_ONCE
    :: by_mark != NONE && (by_history != I.history || by_mark - 1 < I.marked_at_hello ||
                           !IS_TRUSTED(i, by_birth)) ->
        rewind_to(i, by_history, by_mark - 1)
    :: by_mark == NONE ->
        I.candidate = by_history;
        I.history = NONE
#else
    :: by_mark == NONE || by_history != I.history || by_mark - 1 < I.marked_at_hello ||
       !IS_TRUSTED(i, by_birth) ->
        I.candidate = by_history;
        I.candidate_mark = REPLAY_FROM(i, by_mark, by_birth);
        I.history = NONE
#endif
    :: else
    fi;
    I.quoted = by_mark;
    I.birth = by_birth
}

/* custody_marked() and source_progress_marked() */
inline take_marked(i)
{
    find_done_through(i);
    if
    :: I.is_stored && I.candidate != NONE && I.marked_history == I.candidate ->
#ifdef VERDICTS
        I.began = I.marked_birth;
#endif
        rewind_to(i, I.marked_history, I.marked_sequence)
    :: else ->
        if
        :: !I.is_stored || I.marked_history != I.history -> /* ask again */
            I.candidate = NONE;
            I.candidate_mark = 0
        :: I.is_stored && I.marked_history == I.history ->
            if
            :: I.marked_sequence > I.marked && I.marked_sequence <= through ->
                I.marked = I.marked_sequence
            :: else
            fi
        fi
    fi;
    if
    :: I.is_stored ->
        I.quoted = I.marked_sequence + 1;
        I.birth = I.marked_birth
    :: else
    fi;
    through = 0
}

#if EVENTS > 1
#define DONES_OUT(i) ((I.answer[0] != NONE) + (I.answer[1] != NONE))
#else
#define DONES_OUT(i) (I.answer[0] != NONE)
#endif
#define HAS_ROOM(i) \
    (is_calm || DONES_OUT(i) + I.is_told + I.newest.is_sent + I.older.is_sent + I.is_marked < WINDOW)

#define IS_WAITING(i) (I.is_told || I.newest.is_sent || I.is_marked)

/* --- ingest's duties; each a process, so that fairness holds for each. What is asked again is
 * asked after a time-out: in calm not before the answer to the last one is in. --- */

proctype TakeHistory(byte i)
{
    byte at;
    do
    :: atomic {
        I.is_told ->
        d_step {
            take_history(i, I.told_history, I.told_mark, I.told_birth);
            drop_told(i)
        }
    }
    od
}

/* custody_answered(): a Done counts only under the history believed. */
proctype TakeDone(byte i; byte event)
{
    do
    :: atomic {
        I.answer[event] != NONE ->
        d_step {
            if
            :: I.answer[event] == I.history ->
                I.done = I.done | BIT(event);
#ifdef VERDICTS
                I.noted = I.noted | (I.judged & BIT(event))
#endif
            :: else
            fi;
            I.answer[event] = NONE
        }
    }
    od
}

/* A birth is never given twice. */
inline choose_birth(i)
{
#ifdef NO_BIRTH
    I.newest.own = 1
#else
    births++;
    I.newest.own = births
#endif
}

#define IS_NEXT_DONE ((I.done & UP_TO(I.marked + 1)) == UP_TO(I.marked + 1))
#ifdef NO_BIRTH
#define MAY_PLANT true
#else
#define MAY_PLANT (is_calm || births < BIRTHS)
#endif
#define IS_MARK_DUE ((I.candidate != NONE && MAY_PLANT) || \
                     (I.candidate == NONE && I.history != NONE && I.marked < EVENTS && IS_NEXT_DONE))
proctype SendMark(byte i)
{
    byte through;
    do
    :: atomic {
        IS_MARK_DUE && (!is_calm || (I.is_asked && !IS_WAITING(i))) &&
            (I.is_marked || HAS_ROOM(i)) ->
        d_step {
            if
            :: I.newest.is_sent ->
                I.older.is_sent = true;
                I.older.history = I.newest.history;
                I.older.sequence = I.newest.sequence;
                I.older.quoted = I.newest.quoted;
                I.older.birth = I.newest.birth;
                I.older.own = I.newest.own
            :: else
            fi;
            drop_marked(i);
            drop_mark(I.newest);
            I.newest.is_sent = true;
            I.is_asked = false;
            I.newest.quoted = I.quoted;
            I.newest.birth = I.birth;
            if
            :: I.candidate != NONE ->
                I.newest.history = I.candidate;
                I.newest.sequence = I.candidate_mark;
                drop_told(i);
                choose_birth(i)
            :: else ->
                find_done_through(i);
                I.newest.history = I.history;
                I.newest.sequence = through;
                I.newest.own = I.birth;
                through = 0
            fi
        }
    }
    od
}

proctype TakeMarked(byte i)
{
    byte through;
    byte at;
    do
    :: atomic {
        I.is_marked ->
        d_step {
            take_marked(i);
            drop_marked(i)
        }
    }
    od
}

/* Requests and answers vanish. Ingest dies and starts again with its journal: nobody waits for
 * the answers on their way. */
proctype Mishap(byte i)
{
    byte at;
    do
    :: atomic {
        !is_calm ->
        if
        :: I.answer[0] != NONE -> I.answer[0] = NONE
        :: I.is_told -> d_step { drop_told(i) }
        :: I.newest.is_sent -> d_step { drop_mark(I.newest) }
        :: I.older.is_sent -> d_step { drop_mark(I.older) }
        :: I.is_marked -> d_step { drop_marked(i) }
        fi
    }
    :: atomic {
        !is_calm && faults < FAULTS ->
        d_step {
            faults++;
            drop_told(i);
            drop_marked(i);
            drop_mark(I.newest);
            rewind_to(i, NONE, 0);
            I.quoted = NONE;
            I.birth = NONE;
            I.birth_at_hello = NONE;
#ifdef VERDICTS
            I.began = NONE;
#endif
            I.started_at = births
        }
    }
    :: is_calm -> break
    od
}

/* --- routes: each request runs when it likes, on any node that takes it (a connection may
 * outlive all changes of role); in calm on the current master --- */

#define TAKES_WRITES(n) (!is_calm && node[n].is_master)

inline choose_master()
{
    if
    :: n = 0
    :: TAKES_WRITES(1) -> n = 1
    :: TAKES_WRITES(2) -> n = 2
    fi
}

/* A mark implies the data: on this node, and so on all that copy it. */
#define IS_COVERED(n, i) (node[n].mark[i] == NONE || \
                          (UP_TO(node[n].mark[i] - 1) & ~node[n].data[i]) == 0)

/* An event that is not done is offered again and again. desg_apply; the answer may be lost, and
 * one that tells of a history not believed counts for nothing. */
proctype Apply(byte i; byte event)
{
    byte n;
#ifdef VERDICTS
    byte verdict;
#endif
    do
    :: atomic {
        !(I.done & BIT(event)) && (I.answer[event] != NONE || HAS_ROOM(i)) &&
            !(is_calm && I.answer[event] != NONE) ->
        choose_master();
#ifdef VERDICTS
        if /* what is noted goes with it; else the rules of the day decide */
        :: verdict = BIT(event)
        :: !(I.noted & BIT(event)) -> verdict = 0
        fi;
#endif
        d_step {
            node[n].data[i] = node[n].data[i] | BIT(event);
#ifdef VERDICTS
            node[n].raised[i] = node[n].raised[i] | verdict;
            if /* the verdict that stands */
            :: node[n].history == I.history ->
                I.judged = (I.judged & ~BIT(event)) | (node[n].raised[i] & BIT(event))
            :: else
            fi;
            verdict = 0;
#endif
            if
            :: node[n].history == I.history -> I.answer[event] = I.history
            :: else
            fi;
            n = 0
        }
    }
    od
}

/* HELLO, desg_hello: replicas answer too. Whoever replays from the mark told must miss nothing. */
proctype Hello(byte i)
{
    byte n;
    do
    :: atomic {
        (is_calm && !IS_WAITING(i) && !(I.is_asked && IS_MARK_DUE)) ||
            (!is_calm && (I.is_told || HAS_ROOM(i))) ->
        if
        :: n = 0
        :: !is_calm -> n = 1
        :: !is_calm -> n = 2
        fi;
        d_step {
            assert(IS_COVERED(n, i));
            drop_told(i);
            I.marked_at_hello = I.marked;
            I.birth_at_hello = I.birth;
            I.is_told = true;
            I.is_asked = is_calm;
            I.told_history = node[n].history;
            I.told_mark = node[n].mark[i];
            I.told_birth = node[n].birth[i];
            n = 0
        }
    }
    od
}

#ifdef NO_HISTORY_CHECK
#define IS_LIVE(request, n) true
#else
#define IS_LIVE(request, n) (request.history == node[n].history)
#endif
#ifdef NO_QUOTE
#define IS_QUOTED(request, n, i) true
#else
#define IS_QUOTED(request, n, i)                      \
    (request.quoted == node[n].mark[i] &&   \
     (request.quoted == NONE || request.birth == node[n].birth[i]))
#endif

inline store_mark(request)
{
    is_accepted = IS_LIVE(request, n) && IS_QUOTED(request, n, i);
    if
    :: is_accepted ->
        node[n].mark[i] = request.sequence + 1;
        node[n].birth[i] = request.own
    :: else
    fi;
    assert(IS_COVERED(n, i))
}

/* desg_mark */
proctype SetMark(byte i)
{
    byte n;
    bool is_accepted;
    do
    :: atomic {
        I.newest.is_sent ->
        choose_master();
        d_step {
            store_mark(I.newest);
#ifdef VERDICTS
            /* Nothing behind the first mark under a history is offered again. */
            assert(!is_accepted || I.candidate == NONE || I.newest.history != I.candidate ||
                   (I.noted & UP_TO(I.newest.sequence) & ~node[n].raised[i]) == 0);
#endif
            I.is_marked = true;
            I.is_stored = is_accepted;
            I.marked_history = node[n].history;
            I.marked_sequence = I.newest.sequence;
            I.marked_birth = I.newest.own;
            drop_mark(I.newest);
            is_accepted = false;
            n = 0
        }
    }
    :: atomic {
        I.older.is_sent ->
        choose_master();
        d_step {
            store_mark(I.older);
            drop_mark(I.older);
            is_accepted = false;
            n = 0
        }
    }
    od
}

/* --- what goes wrong with Redis --- */

inline copy(from, to)
{
    at = 0;
    do
    :: at < INGESTS ->
        node[to].data[at] = node[from].data[at];
        node[to].mark[at] = node[from].mark[at];
        node[to].birth[at] = node[from].birth[at];
#ifdef VERDICTS
        node[to].raised[at] = node[from].raised[at];
#endif
        at++
    :: else -> break
    od;
    at = 0
}

inline clear(n)
{
    at = 0;
    do
    :: at < INGESTS ->
        node[n].data[at] = 0;
        node[n].mark[at] = NONE;
        node[n].birth[at] = NONE;
#ifdef VERDICTS
        node[n].raised[at] = 0;
#endif
        at++
    :: else -> break
    od;
    at = 0
}

inline swap(one, other)
{
    kept = one;
    one = other;
    other = kept
}

inline exchange(one, other)
{
    at = 0;
    do
    :: at < INGESTS ->
        swap(node[one].data[at], node[other].data[at]);
        swap(node[one].mark[at], node[other].mark[at]);
        swap(node[one].birth[at], node[other].birth[at]);
#ifdef VERDICTS
        swap(node[one].raised[at], node[other].raised[at]);
#endif
        at++
    :: else -> break
    od;
    swap(node[one].history, node[other].history);
    kept = 0;
    at = 0
}

#define NEW_HISTORY   \
    histories++;      \
    node[0].history = histories
#ifdef KEY_TOKEN
#define TAKE_OFFICE skip /* the token is a key: it came with the data */
#define TAKE_OFFICE_LATER NEW_HISTORY
#else
#define TAKE_OFFICE NEW_HISTORY
#endif

/* A replica. One copy now and then leaves it with any earlier state of its master: all that a
 * prefix of the command log can. Sentinel may promote it however far behind it is. */
proctype Replica(byte n)
{
    byte at;
    byte kept;
    do
    :: d_step { /* replicates; or the split is healed, and it throws its own data away */
        node[n].is_master = false;
        copy(0, n);
        node[n].history = node[0].history
    }
    :: atomic { /* is promoted; the old master goes on serving whoever finds it */
        !is_calm && faults < FAULTS && !node[n].is_master ->
        d_step {
            faults++;
            exchange(0, n);
            node[n].is_master = true;
            TAKE_OFFICE
        }
    }
    :: atomic { /* the master restarts with what its file had when we last copied */
        !is_calm && faults < FAULTS && !node[n].is_master ->
        d_step {
            faults++;
            copy(n, 0);
#ifdef KEY_TOKEN
            node[0].history = node[n].history;
#endif
            TAKE_OFFICE
        }
    }
    :: atomic { /* FLUSHALL of the master: the history stays */
        !is_calm && faults < FAULTS && n == 1 ->
        d_step {
            faults++;
            clear(0)
        }
    }
#ifdef KEY_TOKEN
    :: atomic { /* a route connects, finds a master and gives it a new token */
        !is_calm && histories <= FAULTS && n == 1 ->
        d_step { TAKE_OFFICE_LATER }
    }
#endif
    od
}

proctype Calm()
{
    is_calm = true
}

init {
    byte i;
    atomic {
        node[0].is_master = true;
        node[0].history = 1;
        node[1].history = 1;
        node[2].history = 1;
        run Replica(1);
        run Replica(2);
        do
        :: i < INGESTS ->
            run Hello(i);
            run TakeHistory(i);
            run Apply(i, 0);
            run TakeDone(i, 0);
#if EVENTS > 1
            run Apply(i, 1);
            run TakeDone(i, 1);
#endif
            run SendMark(i);
            run SetMark(i);
            run TakeMarked(i);
            run Mishap(i);
            i++
        :: else -> i = 0; break
        od;
#ifdef LIVENESS
        run Calm()
#endif
    }
}

#ifdef LIVENESS
#define IS_APPLIED (node[0].data[0] == ALL && node[0].mark[0] == EVENTS + 1)
ltl applied_in_the_end { (<> is_calm) -> (<> [] IS_APPLIED) }
#endif
