-- The fold beyond what simply adds up: context between events, and the whole anew from all records.

-- Marks a conversation for refold_unsettled.
local function unsettle(ctx, c, id)
  ctx.unsettled[id] = true
  c.is_unsettled = 1
end

local function raise_to_urgent(ctx, e)
  local urgent = ctx.urgent
  e.severity, e.rank, e.queue, e.grade, e.allowance =
    URGENT, urgent.rank, urgent.queue, urgent.grade, urgent.allowance
  e.verdict = raised_verdict(e.verdict, URGENT, urgent.grade)
  e.header = write_header(e)
  ctx.raised[e.id] = e.verdict
end

-- Whether a severe event of the conversation lies close enough before the moment; nil: its records tell.
local function has_context(ctx, c, at)
  if not c.severe_at then
    return false
  end
  if c.severe_at <= at then
    return at - c.severe_at <= ctx.context_ms
  end
  if c.severe_from > at then
    return false
  end
  return nil
end

-- "He's back" is urgent in a conversation that held a severe event not long before. Mostly it came before;
-- if it comes late, what it makes urgent is found by the refold.
local function judge_context(ctx, c, e)
  local at = moment(e)
  if is_hint(e) then
    local has = has_context(ctx, c, at)
    if not has then
      c.hint_at = math.max(c.hint_at or 0, at)
      if has == nil then
        unsettle(ctx, c, e.conversation)
      end
      return
    end
    raise_to_urgent(ctx, e)
  end
  if c.hint_at and c.hint_at >= at and is_severe(e) then -- it came late
    unsettle(ctx, c, e.conversation)
  end
end

local function by_moment(a, b)
  local at, other = moment(a[1]), moment(b[1])
  return at < other or at == other and a[1].id < b[1].id
end

local function raise_hint(ctx, c, key, e, d)
  raise_to_urgent(ctx, e)
  e.bytes = redis.call('HGET', key, 'e:' .. e.id)
  count_rise(c, e)
  alert_event(ctx, e, d)
  learn(c, e)
  redis.call('HSET', key, 'v:' .. e.id, struct.pack(RECORD, e.n, e.applied) .. e.header .. e.verdict)
end

-- Raises those of hints (pairs of event and decision) that a severe moment gives context. One that is
-- raised is severe itself.
local function raise_hints(ctx, c, key, hints, severe)
  if not ctx.context_ms then
    return -- a call with facts alone: no event came
  end
  table.sort(severe)
  table.sort(hints, by_moment)
  local last, next_severe = nil, 1
  c.hint_at = nil
  for _, hint in ipairs(hints) do
    local at = moment(hint[1])
    while severe[next_severe] and severe[next_severe] <= at do
      last = math.max(last or 0, severe[next_severe])
      next_severe = next_severe + 1
    end
    if last and at - last <= ctx.context_ms then
      raise_hint(ctx, c, key, hint[1], hint[2])
      last = at
    else
      c.hint_at = at
    end
  end
end

-- What a record says that counts in the fold; nil if it is no work. Half the time of read_record.
local SUMMARY = '^([^ ]*) ([^ ]*) ([^ ]*) [^ ]* ([^ ]*)'
local function read_summary(value)
  local severity, rank, work, certainty, _, home_rank, allowance, received, written, words_at =
    struct.unpack(HEADER, value, RECORD_BYTES + 1)
  if work ~= 1 then
    return nil
  end
  local queue, grade, category, home_queue = string.match(value, SUMMARY, words_at)
  return { n = struct.unpack('<I4', value), severity = severity, rank = rank, is_work = true, certainty = certainty,
    home_rank = home_rank, allowance = allowance, received = received, written = written, queue = queue,
    grade = grade, category = category, home_queue = home_queue, id = nil }
end

-- Calls visit with each event that is work, what was decided of it, its field and its record.
local function each_work(key, has_facts, visit)
  local records = {}
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.byte(field) == 118 then -- v
      records[#records + 1] = field
    end
  end
  for from = 1, #records, EVENTS_PER_READ do
    local last = math.min(from + EVENTS_PER_READ - 1, #records)
    local values, decisions = redis.call('HMGET', key, unpack(records, from, last)), {}
    if has_facts then
      local fields = {}
      for i = from, last do
        fields[#fields + 1] = 'd' .. string.sub(records[i], 2)
      end
      decisions = redis.call('HMGET', key, unpack(fields))
    end
    for i, value in ipairs(values) do
      local e = read_summary(value)
      if e then
        visit(e, read_decision(decisions[i]), records[from + i - 1], value)
      end
    end
  end
end

-- The state that follows from what waits: queues, leases and the archive's order are brought in line.
local function settle(ctx, c, id, is_waiting, queue_before, score_before)
  if not is_waiting then
    if c.state == 'open' then
      redis.call('ZREM', ctx.prefix .. 'queue:' .. queue_before, id)
    elseif c.state == 'claimed' then
      redis.call('ZREM', ctx.prefix .. 'leases', id)
      let_go(c)
    end
    come_to_rest(ctx, c, id, 'closed')
  elseif c.state == 'open' or c.state == 'claimed' then
    requeue(ctx, c, id, queue_before, score_before)
  else
    end_rest(ctx, c, id)
    c.state = 'open'
    requeue(ctx, c, id)
  end
end

-- The whole fold anew, for what does not simply add up: a decision, or another verdict in the place of one
-- that counted. Reads every record of the conversation, so it is done once per conversation and call.
local function refold(ctx, id)
  local key = ctx.prefix .. 'conv:' .. id
  local c = read_work(ctx.prefix, id)
  if not c then
    return
  end
  local all, waiting, hints, severe, n, is_waiting = {}, {}, {}, {}, 0, false
  local function add(e, d)
    n = n + 1
    if not is_covered(c, e, d) then
      merge(waiting, weigh(e, d))
      is_waiting = true
    elseif not is_waiting then
      merge(all, weigh(e, d))
    end
  end
  each_work(key, c.has_facts, function(e, d, field, value)
    if is_hint(e) then
      e = read_record(value)
      e.id, e.conversation = string.sub(field, 3), id
      hints[#hints + 1] = { e, d }
      return
    end
    if is_severe(e) then
      severe[#severe + 1] = moment(e)
    end
    add(e, d)
  end)
  raise_hints(ctx, c, key, hints, severe)
  for _, hint in ipairs(hints) do
    add(hint[1], hint[2])
  end
  c.n, c.is_unsettled = n, nil
  if n > 0 then
    local queue, score, sum = c.queue, c.score, is_waiting and waiting or all
    c.severity, c.category, c.grade, c.rank, c.queue, c.score, c.since =
      sum.severity, sum.category, sum.grade, sum.rank, sum.queue, sum.score, sum.since
    go_home(c)
    settle(ctx, c, id, is_waiting, queue, score)
  end
  redis.call('HSET', key, 'work', pack_work(c))
end

-- Refolds what a call left unsettled. Until then such a conversation counts as more urgent than it is,
-- never as less; a fault leaves it marked for the next call that touches it. Answers the first fault and
-- whose it is.
local function refold_unsettled(ctx)
  local fault, whose
  for id in pairs(ctx.unsettled) do
    local is_done, why = pcall(refold, ctx, id)
    if not is_done and not fault then
      fault, whose = why, id
    end
  end
  return fault, whose
end
