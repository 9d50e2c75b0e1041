-- desg_apply: events with their verdicts into conversations, queues and alerts. Per event the
-- effects come first and the event's own record last: an error between them leaves an event that
-- will be applied again, never one that is stored but waits in no queue.

local function varint(number)
  local bytes = {}
  while number >= 128 do
    bytes[#bytes + 1] = string.char(number % 128 + 128)
    number = math.floor(number / 128)
  end
  bytes[#bytes + 1] = string.char(number)
  return table.concat(bytes)
end

-- Protobuf merges by appending: these are fields 1 and 3 of Verdict (is_urgent, severity), field 3
-- (verdict) and field 7 (is_digest_member) of Alert.
local RAISED_TO_URGENT = '\8\1\24\4'
local function with_verdict(order, verdict)
  return order .. '\26' .. varint(#verdict) .. verdict
end
local function as_digest_member(order)
  return order .. '\56\1'
end

-- "He's back" is urgent in a conversation that held a severe event not long ago.
local function raise_in_context(ctx, c, e)
  if e.certainty ~= CONTEXT or e.severity >= URGENT or not c.severe_at then
    return
  end
  if math.abs(moment(e) - c.severe_at) > ctx.context_ms then
    return
  end
  e.severity, e.rank, e.queue, e.grade, e.allowance = URGENT, ctx.urgent.rank, ctx.urgent.queue,
    ctx.urgent.grade, ctx.urgent.allowance
  e.verdict = e.verdict .. RAISED_TO_URGENT
  e.header = write_header(e)
  e.is_context_raised = true
  if e.order ~= '' then
    e.order = with_verdict(e.order, e.verdict)
  end
end

-- Unclassified events alert one by one up to a rate per account; above it they share a digest.
local function is_above_rate(ctx, e)
  local key = table.concat({ ctx.prefix, 'unclassified:', e.channel, ':', e.account, ':',
    math.floor(e.received / 60000) })
  local count = redis.call('INCR', key)
  if count == 1 then
    redis.call('EXPIRE', key, 3600)
  end
  return count > ctx.unclassified_per_minute
end

-- One stream entry per alert; a second one only if it grew more severe since, so that dispatch
-- hears of it.
local function raise_alert(ctx, e)
  if e.severity < REVIEW or not e.is_work or e.order == '' then
    return
  end
  local key = ctx.prefix .. 'alert:' .. e.alert
  local known, severity = unpack(redis.call('HMGET', key, 'event', 'severity'))
  if known and tonumber(severity) >= e.severity then
    return
  end
  local is_digest = e.severity == REVIEW and not known and is_above_rate(ctx, e)
  redis.call('XADD', ctx.prefix .. 'alerts', '*', 'order', is_digest and as_digest_member(e.order) or e.order)
  local opened = known and redis.call('HGET', key, 'opened_at_ms') or ctx.now
  redis.call('ZADD', ctx.prefix .. 'alerts-recent', opened, e.alert)
  redis.call('ZREMRANGEBYRANK', ctx.prefix .. 'alerts-recent', 0, -ALERTS_LISTED - 1)
  local state = redis.call('HGET', key, 'state')
  if state ~= 'acknowledged' and state ~= 'resolved' then
    redis.call('ZADD', ctx.prefix .. 'alerts-open', opened, e.alert)
  end
  redis.call('HSETNX', key, 'state', 'open')
  redis.call('HSET', key, 'event', e.id, 'conversation', e.conversation, 'severity', e.severity,
    'channel', e.channel, 'account', e.account, 'opened_at_ms', opened, 'digest', is_digest and 1 or 0,
    'restricted', e.restricted, 'received_at_ms', e.received)
end

-- The event's own record comes last, together with the conversation's state.
local function save(ctx, c, key, e)
  local record = struct.pack(RECORD, e.n, ctx.now) .. e.header .. e.verdict
  if e.bytes then
    redis.call('HSET', key, 'work', pack_work(c), 'v:' .. e.id, record, 'e:' .. e.id, e.bytes)
  else
    redis.call('HSET', key, 'work', pack_work(c), 'v:' .. e.id, record)
  end
end

local function count_work(c, e)
  c.n = c.n + 1
  e.n = c.n
  c.last_event = e.id
end

local function apply_new(ctx, c, key, e)
  local at = moment(e)
  raise_in_context(ctx, c, e)
  learn(c, e)
  c.channel, c.account = e.channel, e.account
  c.first, c.last = math.min(c.first or at, at), math.max(c.last or at, at)
  if e.is_work then
    count_work(c, e)
    open_work(ctx, c, e)
    raise_alert(ctx, e)
  else
    e.n = c.n
    c.state, c.severity = c.state or 'quiet', c.severity or 1
  end
  redis.call('HSET', index_key(ctx.prefix, e.id), index_field(e.id), e.conversation)
  save(ctx, c, key, e)
  local outcome = e.certainty == UNCLASSIFIED and 'p' or 'n'
  return e.is_context_raised and outcome .. e.verdict or outcome
end

-- A verdict more severe than the one that stands, or the first real one.
local function apply_change(ctx, c, key, e, stood)
  e.bytes, e.n = nil, stood.n
  if e.is_work then
    learn(c, e)
    if e.severity > stood.severity then
      count_work(c, e)
      open_work(ctx, c, e)
      raise_alert(ctx, e)
    end
    if stood.certainty == UNCLASSIFIED and stood.n > c.closed_n then
      recount(ctx, c, key, e)
    end
  end
  save(ctx, c, key, e)
  return e.is_context_raised and 'r' .. e.verdict or 'r'
end

local function apply_again(ctx, c, key, e, stood)
  if e.certainty ~= UNCLASSIFIED then
    if stood.certainty == UNCLASSIFIED then
      raise_in_context(ctx, c, e)
      return apply_change(ctx, c, key, e, stood)
    end
    if e.severity > stood.severity then
      return apply_change(ctx, c, key, e, stood)
    end
  end
  -- Still unclassified: still to be offered again when a classifier is back.
  local outcome = stood.certainty == UNCLASSIFIED and 'p' or 'd'
  return stood.verdict ~= e.verdict and outcome .. stood.verdict or outcome
end

local function apply_one(ctx, e)
  local c, record, key = load_conversation(ctx.prefix, e.conversation, e.id)
  if record then
    return apply_again(ctx, c, key, e, read_record(record))
  end
  return apply_new(ctx, c, key, e)
end

-- Only what Redis or we ourselves said of the fault: never an argument.
local function fault_text(fault)
  local text = type(fault) == 'table' and (fault.err or '') or tostring(fault)
  return string.sub(string.gsub(text, '[^%w%p ]', ' '), 1, 120)
end

local function read_event(args, at)
  local e = read_header(args[at + 2], 1)
  e.id, e.conversation, e.header = args[at], args[at + 1], args[at + 2]
  e.bytes, e.verdict, e.order = args[at + 3], args[at + 4], args[at + 5]
  return e
end

local function read_context(keys, args)
  local rank, queue, grade, allowance = string.match(args[4], '^(%d+) (%S+) (%S+) (%d+)$')
  return { prefix = keys[1], now = tonumber(args[1]), context_ms = tonumber(args[2]),
    unclassified_per_minute = tonumber(args[3]), queues_known = {},
    urgent = { rank = tonumber(rank), queue = queue, grade = grade, allowance = tonumber(allowance) } }
end

local function apply_at(ctx, args, at)
  return apply_one(ctx, read_event(args, at))
end

-- ARGV: now, context window, unclassified alerts a minute, urgent plan, then six per event: event,
-- conversation, header, event bytes, verdict bytes, alert order. Answers history and one string per
-- event: n(ew) d(uplicate) r(aised) p(rovisional), followed by the verdict that stands if it is
-- another than the one offered; or e and the fault.
local function desg_apply(keys, args)
  local ctx = read_context(keys, args)
  pcall(sweep, ctx.prefix)
  local answer = { history() }
  for at = 5, #args, 6 do
    local is_done, result = pcall(apply_at, ctx, args, at)
    answer[#answer + 1] = is_done and result or 'e' .. fault_text(result)
  end
  return answer
end

-- Poison: kept for a person whatever is broken elsewhere. The queue and the alert are tried, the
-- quarantine's own two keys are what counts. ARGV as desg_apply with one event, then the reason.
local function desg_quarantine(keys, args)
  local ctx = read_context(keys, args)
  local e = read_event(args, 5)
  local kept = ctx.prefix .. 'quarantine'
  if redis.call('HEXISTS', kept, e.id) == 1 then
    return { history(), 'q' }
  end
  if not pcall(apply_one, ctx, read_event(args, 5)) then
    local alone = read_event(args, 5) -- its conversation is what is broken: it gets one of its own
    alone.conversation = e.id
    pcall(apply_one, ctx, alone)
  end
  pcall(raise_alert, ctx, e)
  redis.call('ZADD', ctx.prefix .. 'quarantine-times', ctx.now, e.id)
  redis.call('HSET', kept, e.id, struct.pack('<I8', ctx.now) .. e.header .. e.conversation .. '\n'
    .. string.gsub(args[11], '%c', ' ') .. '\n' .. #e.bytes .. '\n' .. e.bytes .. e.verdict)
  return { history(), 'q' }
end
