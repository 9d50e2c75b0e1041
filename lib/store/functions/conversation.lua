-- A conversation: a fold over its events and facts, the same in whatever order they arrive. Its state
-- (field "work"):
--   of the events nobody's decision covers: severity, category, grade, rank, queue, score (deadline), since
--     (waiting since); once all are covered, the same of all events;
--   of all events: n (those that are work), language, restricted, home_rank, home_queue, severe_at and
--     severe_from (newest and oldest severe moment), hint_at (newest context-sensitive one not raised), first,
--     last, channel, account;
--   of people's decisions: closed_at (the latest close), has_facts, wish (wish.lua);
--   of this Redis alone, and so no part of the fold: tick (counts arrivals and raises), last_event (of the
--     latest tick), owner, fence, lease, seen_tick (the tick when it was claimed), has_risen (a verdict rose
--     since), closed_n (events of a tick up to it were covered by a close before
--     closes were facts), is_unsettled (a refold is owed), archived_n and archived_last (how many events went
--     to the archive, and the newest moment among them).
-- state: open, claimed, closed (all work is covered), quiet (there is none), archived (only this is left).

local LANGUAGE_ORDER = { ['-'] = 0, unsure = 1, en = 2, mixed = 3, cy = 4 }
local HOME_RANK = 15 -- from here on (Welsh, restricted) a conversation keeps its home queue
local RANK_BY_SEVERITY = { 10, 11, 40, 54, 55 } -- as plan.h has them
local QUEUE_BY_SEVERITY = { [3] = 'urgent-review', [4] = 'urgent', [5] = 'urgent' }
local EVENTS_PER_READ = 256

-- d:<event>: what people decided of an event, joined over all facts that name it: severity it was closed
-- at, latest close; latest grade: severity, severity it had, when, by which fact, 1 if the newest event
-- named, allowance and name of the grade. Facts may come first, so it may lie there without its event.
local function read_decision(text)
  if not text then
    return nil
  end
  local closed_over, closed_at, closed_by, severity, graded_over, graded_at, graded_by, newest, allowance, grade =
    string.match(text, '^(%d+) (%d+) (%S+) (%d+) (%d+) (%d+) (%S+) (%d) (%d+) (%S+)$')
  return { closed_over = tonumber(closed_over), closed_at = tonumber(closed_at), closed_by = closed_by,
    severity = tonumber(severity), graded_over = tonumber(graded_over), graded_at = tonumber(graded_at),
    graded_by = graded_by, is_newest = newest == '1', allowance = tonumber(allowance), grade = grade }
end

local function new_decision()
  return { closed_over = 0, closed_at = 0, closed_by = '-', severity = 0, graded_over = 0, graded_at = 0,
    graded_by = '-', is_newest = false, allowance = 0, grade = '-' }
end

local function write_decision(d)
  return string.format('%d %.0f %s %d %d %.0f %s %d %.0f %s', d.closed_over, d.closed_at, d.closed_by, d.severity,
    d.graded_over, d.graded_at, d.graded_by, d.is_newest and 1 or 0, d.allowance, d.grade)
end

local function is_later(at, by, other_at, other_by)
  return at > other_at or at == other_at and by > other_by
end

-- Whether a close covers event e: not if its verdict rose since, nor if somebody graded it up afterwards.
local function is_covered(c, e, d)
  if e.n and e.n <= c.closed_n then
    return true
  end
  if not d or d.closed_over == 0 or e.severity > d.closed_over then
    return false
  end
  return d.severity <= e.severity or not is_later(d.graded_at, d.graded_by, d.closed_at, d.closed_by)
end

-- What counts of event e: its verdict, or the grade a person gave it as long as that is not overtaken by a
-- verdict that rose since.
local function weigh(e, d)
  if not d or d.severity == 0 or e.severity > d.graded_over and e.severity >= d.severity then
    return e
  end
  local rank, queue = RANK_BY_SEVERITY[d.severity], QUEUE_BY_SEVERITY[d.severity]
  if not queue then
    queue = e.home_rank > 0 and e.home_queue or 'general'
    rank = e.home_rank > 0 and d.severity == 1 and e.home_rank or math.max(e.home_rank, rank)
  end
  return { severity = d.severity, rank = rank, queue = queue, grade = d.grade, allowance = d.allowance,
    received = e.received, category = e.category }
end

-- The conversation, the record of event in it and what people decided of it, if they are there.
local function load_conversation(prefix, id, event)
  local key = prefix .. 'conv:' .. id
  local found = redis.call('HMGET', key, 'work', 'v:' .. event)
  local c = found[1] and unpack_work(found[1]) or new_work()
  local decision = c.has_facts and read_decision(redis.call('HGET', key, 'd:' .. event)) or nil
  return c, found[2], key, decision
end

-- Of two words of equal standing the first in the alphabet, so that the order of arrival says nothing.
local function first_word(a, b)
  return (a == '-' or b ~= '-' and b < a) and b or a
end

-- Adds event e, as weighed, to a sum.
local function merge(sum, e)
  local deadline = e.received + e.allowance
  if not sum.severity or e.severity > sum.severity then
    sum.severity, sum.category, sum.grade = e.severity, e.category, e.grade
  elseif e.severity == sum.severity then
    sum.category, sum.grade = first_word(sum.category, e.category), first_word(sum.grade, e.grade)
  end
  if not sum.rank or e.rank > sum.rank then
    sum.rank, sum.queue = e.rank, e.queue
  elseif e.rank == sum.rank then
    sum.queue = first_word(sum.queue, e.queue)
  end
  if not sum.score or deadline < sum.score then
    sum.score = deadline
  end
  if not sum.since or e.received < sum.since then
    sum.since = e.received
  end
end

-- What is restricted stays restricted and who wrote in Welsh stays in the Welsh queue, whatever the
-- newest event says, also after a close.
local function go_home(c)
  if c.home_rank > c.rank then
    c.rank, c.queue = c.home_rank, c.home_queue
  elseif c.home_rank == c.rank then
    c.queue = first_word(c.queue, c.home_queue)
  end
end

-- Severe by its own verdict: what gives a context-sensitive event its context.
local function is_severe(e)
  return e.is_work and e.severity >= URGENT and e.certainty ~= UNCLASSIFIED
end

local function is_hint(e)
  return e.is_work and e.certainty == CONTEXT and e.severity < URGENT
end

local function learn_home(c, e)
  if e.home_rank > c.home_rank then
    c.home_rank, c.home_queue = e.home_rank, e.home_queue
  elseif e.home_rank == c.home_rank then
    c.home_queue = first_word(c.home_queue, e.home_queue)
  end
end

-- What stays true of a conversation whatever becomes of its work.
local function learn(c, e)
  if e.home_rank >= HOME_RANK then
    learn_home(c, e)
  end
  if e.restricted > c.restricted then
    c.restricted = e.restricted
  end
  if e.language ~= c.language and (LANGUAGE_ORDER[e.language] or 0) > (LANGUAGE_ORDER[c.language or '-'] or 0) then
    c.language = e.language
  end
  if e.severity >= URGENT and is_severe(e) then
    local at = moment(e)
    c.severe_from = math.min(c.severe_from or at, at)
    c.severe_at = math.max(c.severe_at or 0, at)
  end
end

-- Something came that an agent may not have seen.
local function count_tick(c, e)
  c.tick = c.tick + 1
  e.n = c.tick
  c.last_event = e.id
end

-- What an agent has seen grew more severe: its id alone does not say so.
local function count_rise(c, e)
  count_tick(c, e)
  c.has_risen = c.state == 'claimed' and 1 or nil
end

-- Brings the queues in line with the conversation. A claimed one stays with its owner; its new
-- place counts when it is released.
local function requeue(ctx, c, id, queue_before, score_before)
  if c.state ~= 'open' then
    return
  end
  if queue_before and queue_before ~= c.queue then
    redis.call('ZREM', ctx.prefix .. 'queue:' .. queue_before, id)
  end
  if queue_before ~= c.queue or score_before ~= c.score then
    enqueue(ctx.prefix, c.queue, c.score, id, ctx.queues_known)
  end
end

local function forget_work(c)
  c.severity, c.category, c.grade, c.rank, c.queue, c.score, c.since = nil, nil, nil, nil, nil, nil, nil
end

-- Conversations in which nothing waits: the archive takes them in the order they came to rest.
local function come_to_rest(ctx, c, id, state)
  if c.state ~= state then
    redis.call('ZADD', ctx.prefix .. 'resting', clock_ms(), id)
    c.state = state
  end
end

local function end_rest(ctx, c, id)
  redis.call('ZREM', ctx.prefix .. 'resting', id)
  if c.state == 'archived' then
    redis.call('PERSIST', ctx.prefix .. 'conv:' .. id)
  end
end

-- Work came or grew more severe: the conversation waits (again) for an agent.
local function open_work(ctx, c, e, d)
  if c.state ~= 'open' and c.state ~= 'claimed' then
    if c.state then
      end_rest(ctx, c, e.conversation)
      forget_work(c)
    end
    c.state = 'open'
  end
  local queue, score = c.queue, c.score
  merge(c, d and weigh(e, d) or e)
  go_home(c)
  requeue(ctx, c, e.conversation, queue, score)
end

-- Work came that a close covers: the fact was here before its event.
local function add_covered(ctx, c, e, d)
  if c.state == 'open' or c.state == 'claimed' then
    local queue = c.queue
    go_home(c) -- it may be what made the conversation restricted
    requeue(ctx, c, e.conversation, queue, c.score)
    return
  end
  if c.state ~= 'closed' then
    end_rest(ctx, c, e.conversation) -- its facts were there: it has a state
    forget_work(c)
    come_to_rest(ctx, c, e.conversation, 'closed')
  end
  merge(c, weigh(e, d))
  go_home(c)
end
