-- What every function shares: keys, time, history, how a record of an event is written and read.
-- Ids come as 32 hex digits. Nothing here may put a person's words into an error.

local REVIEW, URGENT = 3, 4

-- A header, as apply.c writes it: severity, rank, 1 if it opens work, certainty, restricted class, rank of
-- the home queue, allowance in ms, received at, written at; then words and a newline. The home queue is
-- where the event would wait if it were routine.
local HEADER = '<I1I1I1I1I1I1I4I8I8'
local WORDS = '^([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ \n]*)\n()'
local CONTEXT, UNCLASSIFIED = 1, 2 -- certainty; 0 is real
local CERTAINTY_WORDS = { [0] = 'real', 'context', 'unclassified' }
-- A record (v:<event>): n, the conversation's tick when it arrived; applied at; header; verdict.
local RECORD = '<I4I8'
local RECORD_BYTES = 12
local ACTIONS_KEPT = 10000
local ALERTS_LISTED = 10000

-- master_replid changes at every restart and failover and never comes back: the one safe fence.
local function history()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
end

-- Redis's own clock: for leases and for waiting times shown, never for what happened when.
local function clock_ms()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end

-- The event a header describes, and where in text the header ends.
local function read_header(text, at)
  local severity, rank, work, certainty, restricted, home_rank, allowance, received, written, words_at =
    struct.unpack(HEADER, text, at)
  local queue, grade, category, language, home_queue, channel, account, alert, ends_at =
    string.match(text, WORDS, words_at)
  if not ends_at then
    error('header not understood', 0)
  end
  return { severity = severity, rank = rank, is_work = work == 1, certainty = certainty, restricted = restricted,
    home_rank = home_rank, allowance = allowance, received = received, written = written, queue = queue,
    grade = grade, category = category, language = language, home_queue = home_queue, channel = channel,
    account = account, alert = alert, header = nil, id = nil, conversation = nil, bytes = nil, verdict = nil,
    alerting = nil, n = nil, more = nil }, ends_at
end

local function write_header(e)
  return struct.pack(HEADER, e.severity, e.rank, e.is_work and 1 or 0, e.certainty, e.restricted, e.home_rank,
    e.allowance, e.received, e.written) .. table.concat({ e.queue, e.grade, e.category, e.language, e.home_queue,
    e.channel, e.account, e.alert }, ' ') .. '\n'
end

local function read_record(value)
  local n, applied = struct.unpack(RECORD, value)
  local e, ends_at = read_header(value, RECORD_BYTES + 1)
  e.n, e.applied, e.verdict = n, applied, string.sub(value, ends_at)
  return e
end

local function index_key(prefix, event)
  return prefix .. 'index:' .. string.sub(event, 1, 3)
end

local function index_field(event)
  return string.sub(event, 4)
end

-- When it happened: by the platform's clock, or when it came if the platform does not say.
local function moment(e)
  return e.written > 0 and e.written or e.received
end

local function note_action(prefix, what, agent, conversation, extra)
  redis.call('XADD', prefix .. 'actions', 'MAXLEN', '~', ACTIONS_KEPT, '*', 'what', what,
    'agent', agent, 'conversation', conversation, 'detail', extra or '')
end

-- known: names already noted in this call, or nil.
local function enqueue(prefix, queue, score, conversation, known)
  if not known or not known[queue] then
    redis.call('SADD', prefix .. 'queues', queue)
  end
  if known then
    known[queue] = true
  end
  redis.call('ZADD', prefix .. 'queue:' .. queue, score, conversation)
end

-- A conversation's own state is field "work" of its hash: one read, one write. Its values are packed one
-- after the other without their names: two thirds of the time to write, half to read; those at the end only
-- if they say more than the others. A new field goes to the end of all three lists. Named in the
-- constructor, even as nil, a field has its room at once; the seldom ones share what is left of that.
local function pack_work(c)
  if c.tick == c.n and c.severe_from == c.severe_at and
    not (c.hint_at or c.has_facts or c.is_unsettled or c.archived_n or c.seen_tick or c.has_risen or c.wish)
  then
    return cmsgpack.pack(c.state, c.n, c.closed_n, c.closed_at, c.severity, c.category, c.grade, c.rank, c.queue,
      c.score, c.since, c.language, c.restricted, c.home_rank, c.home_queue, c.severe_at, c.first, c.last,
      c.last_event, c.channel, c.account, c.owner, c.fence, c.lease)
  end
  return cmsgpack.pack(c.state, c.n, c.closed_n, c.closed_at, c.severity, c.category, c.grade, c.rank, c.queue,
    c.score, c.since, c.language, c.restricted, c.home_rank, c.home_queue, c.severe_at, c.first, c.last,
    c.last_event, c.channel, c.account, c.owner, c.fence, c.lease, c.tick, c.severe_from, c.hint_at, c.has_facts,
    c.is_unsettled, c.archived_n, c.archived_last, c.seen_tick, c.has_risen, c.wish)
end

local function unpack_work(packed)
  local state, n, closed_n, closed_at, severity, category, grade, rank, queue, score, since, language, restricted,
    home_rank, home_queue, severe_at, first, last, last_event, channel, account, owner, fence, lease, tick,
    severe_from, hint_at, has_facts, is_unsettled, archived_n, archived_last, seen_tick, has_risen, wish =
    cmsgpack.unpack(packed)
  if type(state) == 'table' then -- written with names, as builds before 22 November 2026 did
    state.tick, state.severe_from = state.tick or state.n, state.severe_from or state.severe_at
    return state
  end
  return { state = state, n = n, closed_n = closed_n, closed_at = closed_at, severity = severity,
    category = category, grade = grade, rank = rank, queue = queue, score = score, since = since,
    language = language, restricted = restricted, home_rank = home_rank, home_queue = home_queue,
    severe_at = severe_at, first = first, last = last, last_event = last_event, channel = channel,
    account = account, owner = owner, fence = fence, lease = lease, tick = tick or n, severe_from = severe_from or severe_at,
    hint_at = hint_at, has_facts = has_facts, is_unsettled = is_unsettled, archived_n = archived_n,
    archived_last = archived_last, seen_tick = seen_tick, has_risen = has_risen, wish = wish }
end

-- Ends the claim. What was seen under it is nobody's any more.
local function let_go(c)
  c.owner, c.lease, c.seen_tick, c.has_risen = nil, nil, nil, nil
end

local function new_work()
  return { state = nil, n = 0, closed_n = 0, closed_at = nil, severity = nil, category = nil, grade = nil, rank = nil,
    queue = nil, score = nil, since = nil, language = nil, restricted = 0, home_rank = 0, home_queue = nil,
    severe_at = nil, first = nil, last = nil, last_event = nil, channel = nil, account = nil, owner = nil,
    fence = nil, lease = nil, tick = 0 }
end

local function read_work(prefix, id)
  local packed = redis.call('HGET', prefix .. 'conv:' .. id, 'work')
  return packed and unpack_work(packed)
end

local function write_work(prefix, id, c)
  redis.call('HSET', prefix .. 'conv:' .. id, 'work', pack_work(c))
end

-- Conversations whose lease ran out go back to their queue at the age they always had.
local function sweep(prefix)
  local first = redis.call('ZRANGE', prefix .. 'leases', 0, 0, 'WITHSCORES')
  if #first == 0 then
    return
  end
  local now = clock_ms()
  if tonumber(first[2]) > now then
    return
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'leases', '-inf', now, 'LIMIT', 0, 64)) do
    local c = read_work(prefix, id)
    if c and c.state == 'claimed' then
      enqueue(prefix, c.queue, c.score, id)
      note_action(prefix, 'lease_expired', c.owner, id)
      c.state = 'open'
      let_go(c)
      write_work(prefix, id, c)
    end
    redis.call('ZREM', prefix .. 'leases', id)
  end
end
