-- What agents and the desg command ask: queues, conversations, quarantine, the story of one id. Lists
-- hold ids, numbers and states, never a person's words.

local function encode_list(rows)
  return #rows > 0 and cjson.encode(rows) or '[]'
end

local function desg_sweep(keys)
  sweep(keys[1])
  return { history(), 'ok' }
end

local function claimed_by_queue(prefix)
  local counts = {}
  for _, id in ipairs(redis.call('ZRANGE', prefix .. 'leases', 0, 999)) do
    local c = read_work(prefix, id)
    local queue = c and c.queue or ''
    counts[queue] = (counts[queue] or 0) + 1
  end
  return counts
end

-- Oldest of the 256 whose deadline comes first.
local function oldest_since(prefix, queue)
  local oldest
  for _, id in ipairs(redis.call('ZRANGE', prefix .. 'queue:' .. queue, 0, 255)) do
    local c = read_work(prefix, id)
    local since = c and c.since
    if since and (not oldest or since < oldest) then
      oldest = since
    end
  end
  return oldest
end

local function desg_queues(keys)
  local prefix, now, rows = keys[1], clock_ms(), {}
  local claimed = claimed_by_queue(prefix)
  local names = redis.call('SMEMBERS', prefix .. 'queues')
  table.sort(names)
  for _, name in ipairs(names) do
    local oldest = oldest_since(prefix, name)
    rows[#rows + 1] = { name = name, depth = redis.call('ZCARD', prefix .. 'queue:' .. name),
      oldest_waiting_ms = oldest and math.max(now - oldest, 0) or 0, claimed = claimed[name] or 0 }
  end
  return { history(), encode_list(rows) }
end

-- ARGV: queues. How long the oldest of each grade waits, in milliseconds by grade, of the 256 of each queue whose
-- deadline comes first. Restricted work does not count: this is for metrics.
local function desg_grades(keys, args)
  local prefix, now, waits = keys[1], clock_ms(), {}
  for _, queue in ipairs(args) do
    for _, id in ipairs(redis.call('ZRANGE', prefix .. 'queue:' .. queue, 0, 255)) do
      local c = read_work(prefix, id)
      if c and c.grade and c.since and (c.restricted or 0) == 0 then
        waits[c.grade] = math.max(now - c.since, waits[c.grade] or 0)
      end
    end
  end
  return { history(), next(waits) and cjson.encode(waits) or '{}' }
end

local function queue_row(prefix, id, now)
  local c = read_work(prefix, id) or {}
  return { conversation = id, severity = c.severity, category = c.category or '-', language = c.language or '-',
    waiting_ms = math.max(now - (c.since or now), 0), deadline_ms = (c.score or now) - now, owner = c.owner or '',
    events = c.n, channel = c.channel or '', state = c.state or '', restricted = c.restricted or 0,
    grade = c.grade or '-', language_wish = Wish.of(c) }, c.queue
end

-- ARGV: queue, limit. Those waiting, in the order they will be claimed, then those claimed.
local function desg_queue(keys, args)
  local prefix, now, rows, limit = keys[1], clock_ms(), {}, tonumber(args[2])
  for _, id in ipairs(redis.call('ZRANGE', prefix .. 'queue:' .. args[1], 0, limit - 1)) do
    rows[#rows + 1] = queue_row(prefix, id, now)
  end
  for _, id in ipairs(redis.call('ZRANGE', prefix .. 'leases', 0, 999)) do
    local row, queue = queue_row(prefix, id, now)
    if queue == args[1] and #rows < limit then
      rows[#rows + 1] = row
    end
  end
  return { history(), encode_list(rows) }
end

-- ARGV: conversation. Answers its state as JSON, the whole hash, and what went out of it as JSON by item.
local function desg_conversation(keys, args)
  local c = read_work(keys[1], args[1])
  if not c then
    return { history(), 'none' }
  end
  local flat = redis.call('HGETALL', keys[1] .. 'conv:' .. args[1])
  c.language_wish, c.wish = Wish.of(c), nil
  return { history(), cjson.encode(c), flat, Outbox.of_conversation(keys[1], args[1], flat) }
end

-- ARGV: limit. Newest first.
local function desg_quarantine_list(keys, args)
  local rows = {}
  for _, id in ipairs(redis.call('ZREVRANGE', keys[1] .. 'quarantine-times', 0, tonumber(args[1]) - 1)) do
    rows[#rows + 1] = quarantine_row(keys[1], id)
  end
  return { history(), encode_list(rows) }
end

-- ARGV: event. Answers the row, event bytes and verdict bytes.
local function desg_quarantine_show(keys, args)
  local row, value, at, length = quarantine_row(keys[1], args[1])
  if not row then
    return { history(), 'none' }
  end
  return { history(), 'ok', cjson.encode(row), string.sub(value, at, at + length - 1),
    string.sub(value, at + length) }
end

local function trace_event(prefix, id, rows)
  local conversation = redis.call('HGET', index_key(prefix, id), index_field(id))
  local record = conversation and redis.call('HGET', prefix .. 'conv:' .. conversation, 'v:' .. id)
  if record then
    local e = read_record(record)
    if e.written > 0 then
      rows[#rows + 1] = { at_ms = e.written, where = 'platform', what = 'written', event = id, channel = e.channel }
    end
    rows[#rows + 1] = { at_ms = e.received, where = 'ingest', what = 'received', event = id, channel = e.channel }
    rows[#rows + 1] = { at_ms = e.applied, where = 'route', what = 'applied', event = id,
      conversation = conversation, severity = e.severity, queue = e.queue, certainty = CERTAINTY_WORDS[e.certainty] }
  end
  local row = quarantine_row(prefix, id)
  if row then
    rows[#rows + 1] = { at_ms = row.at_ms, where = 'route', what = 'quarantined', event = id, reason = row.reason,
      conversation = row.conversation, restricted = row.restricted }
  end
  return conversation
end

local function trace_alert(prefix, id, rows)
  local state, opened, event, conversation, digest = unpack(redis.call('HMGET', prefix .. 'alert:' .. id, 'state',
    'opened_at_ms', 'event', 'conversation', 'digest'))
  if state then
    rows[#rows + 1] = { at_ms = tonumber(opened or nil) or 0, where = 'alert', what = 'opened', alert = id,
      event = event or '', conversation = conversation or '', state = state, digest = digest == '1' }
  end
  return event or nil, conversation or nil
end

local function trace_facts(prefix, conversation, rows)
  local key = prefix .. 'conv:' .. conversation
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 2) == 'f:' then
      local f = read_fact_record(redis.call('HGET', key, field))
      rows[#rows + 1] = { at_ms = f.at, where = 'desk', what = f.kind, agent = f.agent, conversation = conversation,
        fact = string.sub(field, 3) }
      if f.kind == 'replied' then
        Outbox.story(prefix, string.sub(field, 3), rows)
      end
    end
  end
end

local function trace_actions(prefix, conversation, rows)
  for _, entry in ipairs(redis.call('XREVRANGE', prefix .. 'actions', '+', '-', 'COUNT', 2000)) do
    local f = entry[2] -- what W agent A conversation C detail D
    if f[6] == conversation then
      rows[#rows + 1] = { at_ms = tonumber(string.match(entry[1], '^%d+')), where = 'desk', what = f[2],
        agent = f[4], conversation = conversation }
    end
  end
end

-- ARGV: an id of an event, alert, conversation or item of the outbox; the alert id it would have if it is an event's.
-- Answers the rows, and the event's bytes, which name the trace, if it is about one.
local function desg_trace(keys, args)
  local prefix, rows = keys[1], {}
  local event, conversation = trace_alert(prefix, args[1], rows)
  if event then
    conversation = trace_event(prefix, event, rows) or conversation
  else
    conversation = trace_event(prefix, args[1], rows)
    trace_alert(prefix, args[2], rows)
  end
  if not conversation then
    Outbox.story(prefix, args[1], rows)
  end
  local c = not conversation and read_work(prefix, args[1])
  if c and c.first then
    conversation = args[1]
    rows[#rows + 1] = { at_ms = c.first, where = 'route', what = 'first_event', conversation = conversation }
    rows[#rows + 1] = { at_ms = c.last, where = 'route', what = 'last_event', conversation = conversation,
      state = c.state, queue = c.queue or '' }
  end
  if conversation then
    trace_facts(prefix, conversation, rows)
    trace_actions(prefix, conversation, rows)
  end
  table.sort(rows, function(a, b) return a.at_ms < b.at_ms end)
  event = event or args[1]
  return { history(), encode_list(rows), conversation and redis.call('HGET', prefix .. 'conv:' .. conversation, 'e:' .. event) or '' }
end
