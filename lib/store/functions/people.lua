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

local function queue_row(prefix, id, now)
  local c = read_work(prefix, id) or {}
  return { conversation = id, severity = c.severity, category = c.category or '-', language = c.language or '-',
    waiting_ms = math.max(now - (c.since or now), 0), deadline_ms = (c.score or now) - now, owner = c.owner or '',
    events = c.n, channel = c.channel or '', state = c.state or '', restricted = c.restricted or 0,
    grade = c.grade or '-' }, c.queue
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

-- ARGV: conversation. Answers its state as JSON and the whole hash.
local function desg_conversation(keys, args)
  local c = read_work(keys[1], args[1])
  if not c then
    return { history(), 'none' }
  end
  return { history(), cjson.encode(c), redis.call('HGETALL', keys[1] .. 'conv:' .. args[1]) }
end

local function take(prefix, id, agent, lease_ms)
  local c, now = read_work(prefix, id), clock_ms()
  -- Never below the clock: a Redis rebuilt from the journals must not give out an old number again.
  c.fence = math.max((c.fence or 0) + 1, now)
  c.state, c.owner, c.lease = 'claimed', agent, now + lease_ms
  redis.call('ZADD', prefix .. 'leases', c.lease, id)
  write_work(prefix, id, c)
  redis.call('ZREM', prefix .. 'queue:' .. c.queue, id)
  note_action(prefix, 'claimed', agent, id, tostring(c.fence))
  return cjson.encode({ conversation = id, fence = c.fence, lease_ms = lease_ms, queue = c.queue })
end

-- The first conversation of the queue that really waits; entries that lie are cleared away.
local function first_waiting(prefix, queue)
  for _ = 1, CLAIM_TRIES do
    local id = redis.call('ZRANGE', prefix .. 'queue:' .. queue, 0, 0)[1]
    if not id then
      return nil
    end
    local c = read_work(prefix, id)
    if c and c.state == 'open' and c.queue == queue then
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
  local c = read_work(prefix, id)
  if not c then
    return { history(), 'refused', 'there is no such conversation' }
  end
  if c.state == 'claimed' and c.owner ~= agent then
    return { history(), 'refused', 'another agent holds it' }
  end
  if c.state == 'closed' or c.state == 'quiet' then
    return { history(), 'refused', 'it is ' .. c.state .. ': nothing in it waits for an answer' }
  end
  return { history(), 'ok', take(prefix, id, agent, lease_ms) }
end

-- What keeps agent from acting on the conversation under this fence; nil if nothing does.
local function stale(c, agent, fence)
  if not c then
    return 'there is no such conversation'
  end
  if c.state ~= 'claimed' then
    return 'the claim has ended: the conversation is ' .. c.state
  end
  if c.owner ~= agent then
    return 'another agent holds it now, under fence ' .. c.fence
  end
  if c.fence ~= tonumber(fence) then
    return 'fence ' .. fence .. ' is stale: the claim is under fence ' .. c.fence .. ' now'
  end
  return nil
end

-- ARGV: agent, conversation, fence, lease in ms.
local function desg_heartbeat(keys, args)
  sweep(keys[1])
  local c = read_work(keys[1], args[2])
  local problem = stale(c, args[1], args[3])
  if problem then
    return { history(), 'refused', problem }
  end
  c.lease = clock_ms() + tonumber(args[4])
  redis.call('ZADD', keys[1] .. 'leases', c.lease, args[2])
  write_work(keys[1], args[2], c)
  return { history(), 'ok' }
end

-- ARGV: agent, conversation, fence.
local function desg_release(keys, args)
  local prefix, agent, id = keys[1], args[1], args[2]
  sweep(prefix)
  local c = read_work(prefix, id)
  local problem = stale(c, agent, args[3])
  if problem then
    return { history(), 'refused', problem }
  end
  enqueue(prefix, c.queue, c.score, id)
  c.state, c.owner, c.lease = 'open', nil, nil
  write_work(prefix, id, c)
  redis.call('ZREM', prefix .. 'leases', id)
  note_action(prefix, 'released', agent, id)
  return { history(), 'ok' }
end

-- What arrived after the last event the agent saw; nil if nothing did.
local function unseen(prefix, id, c, last_event)
  local record = redis.call('HGET', prefix .. 'conv:' .. id, 'v:' .. last_event)
  if not record then
    return 'the last event named is not in this conversation'
  end
  if read_record(record).n < c.n then
    return 'something newer came: event ' .. c.last_event
  end
  return nil
end

-- ARGV: agent, conversation, fence, last event seen or "".
local function desg_close(keys, args)
  local prefix, agent, id = keys[1], args[1], args[2]
  sweep(prefix)
  local c = read_work(prefix, id)
  local problem = stale(c, agent, args[3]) or args[4] ~= '' and unseen(prefix, id, c, args[4])
  if problem then
    return { history(), 'refused', problem }
  end
  c.state, c.owner, c.lease, c.closed_n, c.closed_at = 'closed', nil, nil, c.n, clock_ms()
  write_work(prefix, id, c)
  redis.call('ZREM', prefix .. 'leases', id)
  note_action(prefix, 'closed', agent, id)
  return { history(), 'ok' }
end

-- quarantine: at, header, conversation, reason, length of the event, event, verdict.
local function quarantine_row(prefix, id)
  local value = redis.call('HGET', prefix .. 'quarantine', id)
  if not value then
    return nil
  end
  local at, header_at = struct.unpack('<I8', value)
  local e, rest_at = read_header(value, header_at)
  local conversation, reason, length, event_at = string.match(value, '^(%x+)\n([^\n]*)\n(%d+)\n()', rest_at)
  return { event = id, conversation = conversation, at_ms = at, reason = reason, severity = e.severity,
    channel = e.channel, received_at_ms = e.received }, value, event_at, tonumber(length)
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
      conversation = conversation, severity = e.severity, queue = e.queue, certainty = CERTAINTY_WORDS[e.certainty] }
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
  local c = not conversation and read_work(prefix, args[1])
  if c then
    conversation = args[1]
    rows[#rows + 1] = { at_ms = c.first, where = 'route', what = 'first_event', conversation = conversation }
    rows[#rows + 1] = { at_ms = c.last, where = 'route', what = 'last_event', conversation = conversation,
      state = c.state, queue = c.queue or '' }
  end
  if conversation then
    trace_actions(prefix, conversation, rows)
  end
  table.sort(rows, function(a, b) return a.at_ms < b.at_ms end)
  return { history(), encode_list(rows) }
end
