-- A conversation: what its events together mean for the queue it waits in.

-- Texts first, then numbers. (No loops while a library loads: Redis gives it no globals then.)
local FIELDS = { 'state', 'category', 'grade', 'queue', 'language', 'home_queue', 'n', 'severity', 'rank',
  'score', 'since', 'restricted', 'home_rank', 'severe_at', 'closed_n', 'first', 'last' }
local LAST_TEXT = 6
local WORK_FIELDS = { 'severity', 'category', 'grade', 'rank', 'queue', 'score', 'since' }
local LANGUAGE_ORDER = { ['-'] = 0, unsure = 1, en = 2, mixed = 3, cy = 4 }

local function load_conversation(prefix, id, event)
  local key = prefix .. 'conv:' .. id
  local values = redis.call('HMGET', key, 'v:' .. event, unpack(FIELDS))
  local c = { id = id, key = key, record = values[1], changes = {} }
  for i = 1, #FIELDS do
    local value = values[i + 1] or nil
    c[FIELDS[i]] = i > LAST_TEXT and tonumber(value) or value
  end
  c.n, c.closed_n, c.restricted = c.n or 0, c.closed_n or 0, c.restricted or 0
  return c
end

local function put(c, field, value)
  if value ~= nil and c[field] ~= value then
    c[field] = value
    c.changes[#c.changes + 1] = field
    c.changes[#c.changes + 1] = value
  end
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
  sum.score = math.min(sum.score or deadline, deadline)
  sum.since = math.min(sum.since or e.received, e.received)
end

-- Takes the sum over as the conversation's state. What is restricted stays restricted and who
-- wrote in Welsh stays in the Welsh queue, also after a close.
local function adopt(c, sum)
  if c.home_rank and c.home_rank > sum.rank then
    sum.rank, sum.queue = c.home_rank, c.home_queue
  end
  for _, name in ipairs(WORK_FIELDS) do
    put(c, name, sum[name])
  end
end

-- What stays true of a conversation whatever becomes of its work.
local function learn(c, e)
  if e.home_rank > (c.home_rank or 0) then
    put(c, 'home_rank', e.home_rank)
    put(c, 'home_queue', e.home_queue)
  end
  if e.restricted > c.restricted then
    put(c, 'restricted', e.restricted)
  end
  if (LANGUAGE_ORDER[e.language] or 0) > (LANGUAGE_ORDER[c.language or '-'] or 0) then
    put(c, 'language', e.language)
  end
  if e.class == 'work' and e.severity >= URGENT then
    put(c, 'severe_at', math.max(c.severe_at or 0, moment(e)))
  end
end

-- Brings the queues in line with the conversation. A claimed one stays with its owner; its new
-- place counts when it is released.
local function requeue(ctx, c, before_queue, before_score)
  if c.state ~= 'open' then
    return
  end
  if before_queue and before_queue ~= c.queue then
    redis.call('ZREM', ctx.prefix .. 'queue:' .. before_queue, c.id)
  end
  if before_queue ~= c.queue or before_score ~= c.score then
    enqueue(ctx.prefix, c.queue, c.score, c.id)
  end
end

-- Work came or grew more severe: the conversation waits (again) for an agent.
local function open_work(ctx, c, e)
  local queue, score = c.queue, c.score
  local sum = {}
  if c.state == 'open' or c.state == 'claimed' then
    for _, name in ipairs(WORK_FIELDS) do
      sum[name] = c[name]
    end
  else
    queue, score = nil, nil
    put(c, 'state', 'open')
  end
  merge(sum, e)
  adopt(c, sum)
  requeue(ctx, c, queue, score)
end

-- The first real verdict replaced an unclassified one: the state is the sum over all verdicts as
-- they stand now, of events a close has not covered.
local function recount(ctx, c, event, replacing)
  if c.state ~= 'open' and c.state ~= 'claimed' then
    return
  end
  local queue, score, sum = c.queue, c.score, {}
  for _, field in ipairs(redis.call('HKEYS', c.key)) do
    if string.sub(field, 1, 2) == 'v:' then
      local e = field == 'v:' .. event and replacing or read_record(redis.call('HGET', c.key, field))
      if e.class == 'work' and e.n > c.closed_n then
        merge(sum, e)
      end
    end
  end
  if sum.severity then
    adopt(c, sum)
    requeue(ctx, c, queue, score)
  end
end
