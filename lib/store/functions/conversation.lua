-- A conversation: what its events together mean for the queue it waits in. Its state (field "work"):
-- state, n (arrivals that are work, and raises), closed_n (covered by the last close), severity, category,
-- grade, rank, queue, score (deadline), since (waiting since), language, restricted, home_rank, home_queue,
-- severe_at, first, last, last_event, channel, account, owner, fence, lease.

local LANGUAGE_ORDER = { ['-'] = 0, unsure = 1, en = 2, mixed = 3, cy = 4 }

-- The conversation, and the record of event in it if it is there.
local function load_conversation(prefix, id, event)
  local key = prefix .. 'conv:' .. id
  local found = redis.call('HMGET', key, 'work', 'v:' .. event)
  local c = found[1] and unpack_work(found[1]) or new_work()
  return c, found[2], key
end

-- Adds event e to the sum of what waits for an answer.
local function merge(sum, e)
  local deadline = e.received + e.allowance
  if not sum.severity or e.severity > sum.severity then
    sum.severity, sum.category, sum.grade = e.severity, e.category, e.grade
  end
  if not sum.rank or e.rank > sum.rank then
    sum.rank, sum.queue = e.rank, e.queue
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
  end
end

-- What stays true of a conversation whatever becomes of its work.
local function learn(c, e)
  if e.home_rank > c.home_rank then
    c.home_rank, c.home_queue = e.home_rank, e.home_queue
  end
  if e.restricted > c.restricted then
    c.restricted = e.restricted
  end
  if e.language ~= c.language and (LANGUAGE_ORDER[e.language] or 0) > (LANGUAGE_ORDER[c.language or '-'] or 0) then
    c.language = e.language
  end
  if e.is_work and e.severity >= URGENT then
    c.severe_at = math.max(c.severe_at or 0, moment(e))
  end
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

-- Work came or grew more severe: the conversation waits (again) for an agent.
local function open_work(ctx, c, e)
  if c.state ~= 'open' and c.state ~= 'claimed' then
    forget_work(c)
    c.state = 'open'
  end
  local queue, score = c.queue, c.score
  merge(c, e)
  go_home(c)
  requeue(ctx, c, e.conversation, queue, score)
end

-- The first real verdict replaced an unclassified one: the state is the sum over all verdicts as
-- they stand now, of events a close has not covered.
local function recount(ctx, c, key, replacing)
  if c.state ~= 'open' and c.state ~= 'claimed' then
    return
  end
  local queue, score = c.queue, c.score
  forget_work(c)
  merge(c, replacing)
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 2) == 'v:' and field ~= 'v:' .. replacing.id then
      local e = read_record(redis.call('HGET', key, field))
      if e.is_work and e.n > c.closed_n then
        merge(c, e)
      end
    end
  end
  go_home(c)
  requeue(ctx, c, replacing.conversation, queue, score)
end
