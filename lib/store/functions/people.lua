-- What agents and the desg command ask: queues, claims, quarantine, the story of one id. Lists hold
-- ids, numbers and states, never a person's words. Changes answer history, then ok with JSON, none,
-- or refused with the reason.

local CLAIM_ORDER = { 'urgent', 'urgent-review', 'needs-review', 'restricted' }
local CLAIM_TRIES = 16 -- stale entries of a queue passed over in one claim

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
    local queue = redis.call('HGET', prefix .. 'conv:' .. id, 'queue') or ''
    counts[queue] = (counts[queue] or 0) + 1
  end
  return counts
end

-- Oldest of the 256 whose deadline comes first.
local function oldest_since(prefix, queue)
  local oldest
  for _, id in ipairs(redis.call('ZRANGE', prefix .. 'queue:' .. queue, 0, 255)) do
    local since = tonumber(redis.call('HGET', prefix .. 'conv:' .. id, 'since') or nil)
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

local function queue_row(prefix, id, now)
  local severity, category, language, since, score, owner, events, channel, state, restricted, queue =
    unpack(redis.call('HMGET', prefix .. 'conv:' .. id, 'severity', 'category', 'language', 'since', 'score',
      'owner', 'n', 'channel', 'state', 'restricted', 'queue'))
  return { conversation = id, severity = tonumber(severity or nil), category = category or '-',
    language = language or '-', waiting_ms = math.max(now - (tonumber(since or nil) or now), 0),
    deadline_ms = (tonumber(score or nil) or now) - now, owner = owner or '', events = tonumber(events or nil),
    channel = channel or '', state = state or '', restricted = tonumber(restricted or nil) or 0 }, queue
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

local function desg_conversation(keys, args)
  return { history(), redis.call('HGETALL', keys[1] .. 'conv:' .. args[1]) }
end

local function take(prefix, id, agent, lease_ms)
  local key = prefix .. 'conv:' .. id
  local queue, fence = unpack(redis.call('HMGET', key, 'queue', 'fence'))
  local now = clock_ms()
  -- Never below the clock: a Redis rebuilt from the journals must not give out an old number again.
  local next_fence = math.max((tonumber(fence or nil) or 0) + 1, now)
  redis.call('ZADD', prefix .. 'leases', now + lease_ms, id)
  redis.call('HSET', key, 'state', 'claimed', 'owner', agent, 'fence', next_fence, 'lease', now + lease_ms)
  redis.call('ZREM', prefix .. 'queue:' .. queue, id)
  note_action(prefix, 'claimed', agent, id, tostring(next_fence))
  return cjson.encode({ conversation = id, fence = next_fence, lease_ms = lease_ms, queue = queue })
end

-- The first conversation of the queue that really waits; entries that lie are cleared away.
local function first_waiting(prefix, queue)
  for _ = 1, CLAIM_TRIES do
    local id = redis.call('ZRANGE', prefix .. 'queue:' .. queue, 0, 0)[1]
    if not id then
      return nil
    end
    local state, place = unpack(redis.call('HMGET', prefix .. 'conv:' .. id, 'state', 'queue'))
    if state == 'open' and place == queue then
      return id
    end
    redis.call('ZREM', prefix .. 'queue:' .. queue, id)
  end
  return nil
end

local function earliest_of_the_rest(prefix)
  local best, best_score, is_first = nil, nil, {}
  for _, name in ipairs(CLAIM_ORDER) do is_first[name] = true end
  local names = redis.call('SMEMBERS', prefix .. 'queues')
  table.sort(names)
  for _, name in ipairs(names) do
    local id = not is_first[name] and first_waiting(prefix, name)
    local score = id and tonumber(redis.call('ZSCORE', prefix .. 'queue:' .. name, id))
    if id and (not best_score or score < best_score) then
      best, best_score = id, score
    end
  end
  return best
end

local function best_waiting(prefix, queue)
  if queue ~= '' then
    return first_waiting(prefix, queue)
  end
  for _, name in ipairs(CLAIM_ORDER) do
    local id = first_waiting(prefix, name)
    if id then
      return id
    end
  end
  return earliest_of_the_rest(prefix)
end

-- ARGV: agent, queue or "", conversation or "", lease in ms.
local function desg_claim(keys, args)
  local prefix, agent, queue, id, lease_ms = keys[1], args[1], args[2], args[3], tonumber(args[4])
  sweep(prefix)
  if id == '' then
    id = best_waiting(prefix, queue)
    if not id then
      return { history(), 'none' }
    end
    return { history(), 'ok', take(prefix, id, agent, lease_ms) }
  end
  local state, owner = unpack(redis.call('HMGET', prefix .. 'conv:' .. id, 'state', 'owner'))
  if not state then
    return { history(), 'refused', 'there is no such conversation' }
  end
  if state == 'claimed' and owner ~= agent then
    return { history(), 'refused', 'another agent holds it' }
  end
  if state == 'closed' or state == 'quiet' then
    return { history(), 'refused', 'it is ' .. state .. ': nothing in it waits for an answer' }
  end
  return { history(), 'ok', take(prefix, id, agent, lease_ms) }
end

-- nil if agent holds the conversation under this fence, otherwise what changed.
local function stale(prefix, agent, id, fence)
  local state, owner, live = unpack(redis.call('HMGET', prefix .. 'conv:' .. id, 'state', 'owner', 'fence'))
  if not state then
    return 'there is no such conversation'
  end
  if state ~= 'claimed' then
    return 'the claim has ended: the conversation is ' .. state
  end
  if owner ~= agent then
    return 'another agent holds it now, under fence ' .. live
  end
  if tonumber(live) ~= tonumber(fence) then
    return 'fence ' .. fence .. ' is stale: the claim is under fence ' .. live .. ' now'
  end
  return nil
end

-- ARGV: agent, conversation, fence, lease in ms.
local function desg_heartbeat(keys, args)
  sweep(keys[1])
  local problem = stale(keys[1], args[1], args[2], args[3])
  if problem then
    return { history(), 'refused', problem }
  end
  local lease = clock_ms() + tonumber(args[4])
  redis.call('ZADD', keys[1] .. 'leases', lease, args[2])
  redis.call('HSET', keys[1] .. 'conv:' .. args[2], 'lease', lease)
  return { history(), 'ok' }
end

-- ARGV: agent, conversation, fence.
local function desg_release(keys, args)
  local prefix, agent, id = keys[1], args[1], args[2]
  sweep(prefix)
  local problem = stale(prefix, agent, id, args[3])
  if problem then
    return { history(), 'refused', problem }
  end
  local key = prefix .. 'conv:' .. id
  local queue, score = unpack(redis.call('HMGET', key, 'queue', 'score'))
  enqueue(prefix, queue, score, id)
  redis.call('HSET', key, 'state', 'open', 'owner', '')
  redis.call('ZREM', prefix .. 'leases', id)
  note_action(prefix, 'released', agent, id)
  return { history(), 'ok' }
end

-- What arrived after the last event the agent saw; nil if nothing did.
local function unseen(key, last_event)
  local n, newest, record = unpack(redis.call('HMGET', key, 'n', 'last_event', 'v:' .. last_event))
  if not record then
    return 'the last event named is not in this conversation'
  end
  if read_record(record).n < tonumber(n) then
    return 'something newer came: event ' .. newest
  end
  return nil
end

-- ARGV: agent, conversation, fence, last event seen or "".
local function desg_close(keys, args)
  local prefix, agent, id = keys[1], args[1], args[2]
  sweep(prefix)
  local key = prefix .. 'conv:' .. id
  local problem = stale(prefix, agent, id, args[3]) or args[4] ~= '' and unseen(key, args[4])
  if problem then
    return { history(), 'refused', problem }
  end
  redis.call('HSET', key, 'state', 'closed', 'owner', '', 'closed_n', redis.call('HGET', key, 'n'),
    'closed_at', clock_ms())
  redis.call('ZREM', prefix .. 'leases', id)
  note_action(prefix, 'closed', agent, id)
  return { history(), 'ok' }
end

local function quarantine_row(prefix, id)
  local value = redis.call('HGET', prefix .. 'quarantine', id)
  if not value then
    return nil
  end
  local at, conversation, header, reason = string.match(value, '^(%d+) (%x+) ([^\n]*)\n([^\n]*)\n')
  local e = read_header(header)
  return { event = id, conversation = conversation, at_ms = tonumber(at), reason = reason,
    severity = e.severity, channel = e.channel, received_at_ms = e.received }
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
  local value = redis.call('HGET', keys[1] .. 'quarantine', args[1])
  if not value then
    return { history(), 'none' }
  end
  local length, at = string.match(value, '^[^\n]*\n[^\n]*\n(%d+)\n()')
  return { history(), 'ok', cjson.encode(quarantine_row(keys[1], args[1])),
    string.sub(value, at, at + length - 1), string.sub(value, at + length) }
end

-- ARGV: event, agent.
local function desg_quarantine_remove(keys, args)
  local row = quarantine_row(keys[1], args[1])
  if not row then
    return { history(), 'refused', 'it is not in quarantine' }
  end
  note_action(keys[1], 'quarantine_removed', args[2], row.conversation, args[1])
  redis.call('ZREM', keys[1] .. 'quarantine-times', args[1])
  redis.call('HDEL', keys[1] .. 'quarantine', args[1])
  return { history(), 'ok' }
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
      conversation = conversation, severity = e.severity, queue = e.queue, certainty = e.certainty }
  end
  local row = quarantine_row(prefix, id)
  if row then
    rows[#rows + 1] = { at_ms = row.at_ms, where = 'route', what = 'quarantined', event = id, reason = row.reason,
      conversation = row.conversation }
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

local function trace_actions(prefix, conversation, rows)
  for _, entry in ipairs(redis.call('XREVRANGE', prefix .. 'actions', '+', '-', 'COUNT', 2000)) do
    local f = entry[2] -- what W agent A conversation C detail D
    if f[6] == conversation then
      rows[#rows + 1] = { at_ms = tonumber(string.match(entry[1], '^%d+')), where = 'desk', what = f[2],
        agent = f[4], conversation = conversation }
    end
  end
end

-- ARGV: an id of an event, alert or conversation; the alert id it would have if it is an event's.
local function desg_trace(keys, args)
  local prefix, rows = keys[1], {}
  local event, conversation = trace_alert(prefix, args[1], rows)
  if event then
    conversation = trace_event(prefix, event, rows) or conversation
  else
    conversation = trace_event(prefix, args[1], rows)
    trace_alert(prefix, args[2], rows)
  end
  if not conversation and redis.call('EXISTS', prefix .. 'conv:' .. args[1]) == 1 then
    conversation = args[1]
    local first, last, state, queue = unpack(redis.call('HMGET', prefix .. 'conv:' .. conversation, 'first', 'last',
      'state', 'queue'))
    rows[#rows + 1] = { at_ms = tonumber(first or nil) or 0, where = 'route', what = 'first_event',
      conversation = conversation }
    rows[#rows + 1] = { at_ms = tonumber(last or nil) or 0, where = 'route', what = 'last_event',
      conversation = conversation, state = state or '', queue = queue or '' }
  end
  if conversation then
    trace_actions(prefix, conversation, rows)
  end
  table.sort(rows, function(a, b) return a.at_ms < b.at_ms end)
  return { history(), encode_list(rows) }
end
