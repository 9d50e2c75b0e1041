-- What every function shares: keys, time, history, how a record of an event is written and read.
-- Ids come as 32 hex digits. Nothing here may put a person's words into an error.

local REVIEW, URGENT = 3, 4

-- n is numbered per conversation in the order of arrival; times are Unix milliseconds.
local HEADER = '^(%d+) (%d+) (%a+) (%a+) (%d+) (%d+) (%d+) (%S+) (%S+) (%S+) (%S+) (%d+) (%d+) (%S+) (%S+) (%S+) (%S+)$'
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

local function read_header(header)
  local severity, rank, class, certainty, received, written, allowance, queue, grade, category,
    language, restricted, home_rank, home_queue, channel, account, alert = string.match(header, HEADER)
  if not severity then
    error('header not understood', 0)
  end
  return {
    severity = tonumber(severity), rank = tonumber(rank), class = class, certainty = certainty,
    received = tonumber(received), written = tonumber(written), allowance = tonumber(allowance),
    queue = queue, grade = grade, category = category, language = language,
    restricted = tonumber(restricted), home_rank = tonumber(home_rank), home_queue = home_queue, channel = channel, account = account, alert = alert,
    header = header,
  }
end

local function write_header(e)
  return table.concat({ e.severity, e.rank, e.class, e.certainty, e.received, e.written,
    e.allowance, e.queue, e.grade, e.category, e.language, e.restricted, e.home_rank,
    e.home_queue, e.channel, e.account, e.alert }, ' ')
end

-- v:<event> of a conversation: "<n> <applied at> <header>\n<verdict>".
local function read_record(value)
  local n, applied, header, verdict_at = string.match(value, '^(%d+) (%d+) ([^\n]*)\n()')
  local e = read_header(header)
  e.n, e.applied, e.verdict = tonumber(n), tonumber(applied), string.sub(value, verdict_at)
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

local function enqueue(prefix, queue, score, conversation)
  redis.call('SADD', prefix .. 'queues', queue)
  redis.call('ZADD', prefix .. 'queue:' .. queue, score, conversation)
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
    local key = prefix .. 'conv:' .. id
    local state, queue, score, owner = unpack(redis.call('HMGET', key, 'state', 'queue', 'score', 'owner'))
    if state == 'claimed' then
      enqueue(prefix, queue, score, id)
      redis.call('HSET', key, 'state', 'open', 'owner', '')
      note_action(prefix, 'lease_expired', owner, id)
    end
    redis.call('ZREM', prefix .. 'leases', id)
  end
end
