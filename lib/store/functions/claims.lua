-- Claims: leases in Redis alone, gone with it. Changes answer history, then ok with JSON, none, or refused
-- with the reason.

local CLAIM_ORDER = { 'urgent', 'urgent-review', 'needs-review', 'restricted' }
local CLAIM_TRIES = 16 -- stale entries of a queue passed over in one claim

local function take(prefix, id, agent, lease_ms)
  local c, now = read_work(prefix, id), clock_ms()
  -- Never below the clock: a Redis rebuilt from the journals must not give out an old number again.
  c.fence = math.max((c.fence or 0) + 1, now)
  c.state, c.owner, c.lease = 'claimed', agent, now + lease_ms
  c.seen_tick, c.has_risen = c.tick, nil
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
  if c.state ~= 'open' and c.state ~= 'claimed' then
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
  c.state = 'open'
  let_go(c)
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
  if read_record(record).n < c.tick then
    return 'something newer came: event ' .. c.last_event
  end
  return nil
end
