-- desg_apply: events with their verdicts into conversations, queues and alerts. Per event the
-- effects come first and the event's own record last: an error between them leaves an event that
-- will be applied again, never one that is stored but waits in no queue.

-- The event's own record comes last, together with the conversation's state.
local function save(ctx, c, key, e, is_new)
  local record = struct.pack(RECORD, e.n, ctx.now) .. e.header .. e.verdict
  if is_new then
    redis.call('HSET', key, 'work', pack_work(c), 'v:' .. e.id, record, 'e:' .. e.id, e.bytes)
  else
    redis.call('HSET', key, 'work', pack_work(c), 'v:' .. e.id, record)
  end
end

-- Learns from what is no work in itself: an echo, or a copy whose verdict does not stand. Says whether it
-- learnt anything; the queue follows with the refold.
local function learn_aside(ctx, c, e)
  local home_rank, home_queue, restricted, language = c.home_rank, c.home_queue, c.restricted, c.language
  learn(c, e)
  if c.home_rank ~= home_rank or c.home_queue ~= home_queue then
    unsettle(ctx, c, e.conversation)
    return true
  end
  return c.restricted ~= restricted or c.language ~= language
end

local function apply_new(ctx, c, key, e, d)
  local at = moment(e)
  if c.hint_at or e.certainty == CONTEXT then
    judge_context(ctx, c, e)
  end
  c.channel, c.account = e.channel, e.account
  c.first, c.last = math.min(c.first or at, at), math.max(c.last or at, at)
  if e.is_work then
    learn(c, e)
    count_tick(c, e)
    c.n = c.n + 1
    if d and is_covered(c, e, d) then
      add_covered(ctx, c, e, d)
    else
      open_work(ctx, c, e, d)
    end
    if d or e.severity >= REVIEW then
      alert_event(ctx, e, d)
    end
  else
    learn_aside(ctx, c, e)
    e.n = c.tick
    if not c.state or c.state == 'archived' then
      if c.state then
        end_rest(ctx, c, e.conversation)
      end
      come_to_rest(ctx, c, e.conversation, 'quiet')
      c.severity = 1
    end
  end
  if e.more then
    Outbox.hear(ctx, e, c)
  end
  redis.call('HSET', index_key(ctx.prefix, e.id), index_field(e.id), e.conversation)
  save(ctx, c, key, e, true)
  return e.certainty == UNCLASSIFIED and 'p' or 'n'
end

-- A verdict more severe than the one that stands, or the first real one. It counts at once; that the one
-- it replaces counts no more is for the refold.
local function apply_change(ctx, c, key, e, d, stood)
  e.n = stood.n
  if e.is_work then
    judge_context(ctx, c, e)
    learn(c, e)
    if e.severity > stood.severity then
      count_rise(c, e)
    end
    if not is_covered(c, e, d) then
      open_work(ctx, c, e, d)
    end
    if e.severity > stood.severity then
      alert_event(ctx, e, d)
    end
    unsettle(ctx, c, e.conversation)
  else
    learn_aside(ctx, c, e)
  end
  save(ctx, c, key, e, false)
  return 'r'
end

local function apply_again(ctx, c, key, e, d, stood)
  if c.is_unsettled then
    unsettle(ctx, c, e.conversation)
  end
  if e.certainty ~= UNCLASSIFIED and (stood.certainty == UNCLASSIFIED or e.severity > stood.severity) then
    return apply_change(ctx, c, key, e, d, stood)
  end
  if e.certainty ~= UNCLASSIFIED and stood.verdict ~= e.verdict then
    if learn_aside(ctx, c, e) then -- it may still know that it is restricted, or Welsh
      redis.call('HSET', key, 'work', pack_work(c))
    end
  end
  -- Still unclassified: still to be offered again when a classifier is back.
  local outcome = stood.certainty == UNCLASSIFIED and 'p' or 'd'
  return stood.verdict ~= e.verdict and outcome .. stood.verdict or outcome
end

local function apply_one(ctx, e)
  local c, record, key, d = load_conversation(ctx.prefix, e.conversation, e.id)
  if record then
    return apply_again(ctx, c, key, e, d, read_record(record))
  end
  if c.archived_n and is_archived(ctx, c, e) then
    return 'd'
  end
  return apply_new(ctx, c, key, e, d)
end

-- Only what Redis or we ourselves said of the fault: never an argument.
local function fault_text(fault)
  local text = type(fault) == 'table' and (fault.err or '') or tostring(fault)
  return string.sub(string.gsub(text, '[^%w%p ]', ' '), 1, 120)
end

local function read_event(args, at)
  local e = read_header(args[at + 2], 1)
  e.id, e.conversation, e.header = args[at], args[at + 1], args[at + 2]
  e.bytes, e.verdict, e.alerting = args[at + 3], args[at + 4], args[at + 5]
  if #e.alerting > 8 then -- padded to that, then what Outbox.hear takes
    e.more = string.sub(e.alerting, 9)
    e.alerting = string.match(e.alerting, '^%l*')
  end
  return e
end

local function read_context(keys, args)
  local rank, queue, grade, allowance, version = string.match(args[4], '^(%d+) (%S+) (%S+) (%d+) (%d+)$')
  return { prefix = keys[1], now = tonumber(args[1]), context_ms = tonumber(args[2]),
    unclassified_per_minute = tonumber(args[3]), queues_known = {}, unsettled = {}, raised = {},
    render_version = tonumber(version), urgent = { rank = tonumber(rank), queue = queue, grade = grade, allowance = tonumber(allowance) } }
end

local function apply_at(ctx, args, at)
  return apply_one(ctx, read_event(args, at))
end

-- A verdict that context raised is handed back, so that a replay decides the same.
local function add_raised(ctx, args, answer)
  for i = 2, #answer do
    local verdict = ctx.raised[args[5 + (i - 2) * 6]]
    if verdict and string.sub(answer[i], 1, 1) ~= 'e' then
      answer[i] = (string.sub(answer[i], 1, 1) == 'n' and 'n' or 'r') .. verdict
    end
  end
end

-- ARGV: now, context window, unclassified alerts a minute, urgent plan and version of the alert's body,
-- then six per event: event, conversation, header, event bytes, verdict bytes, how it may alert (live,
-- replayed or not at all; after eight characters what Outbox.hear takes). Answers history and one string per event: n(ew) d(uplicate) r(aised)
-- p(rovisional), followed by the verdict that stands if it is another than the one offered; or e and the
-- fault.
local function desg_apply(keys, args)
  local ctx = read_context(keys, args)
  pcall(sweep, ctx.prefix)
  local answer = { history() }
  for at = 5, #args, 6 do
    local is_done, result = pcall(apply_at, ctx, args, at)
    answer[#answer + 1] = is_done and result or 'e' .. fault_text(result)
  end
  if next(ctx.unsettled) then
    refold_unsettled(ctx)
  end
  if next(ctx.raised) then
    add_raised(ctx, args, answer)
  end
  return answer
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
    channel = e.channel, received_at_ms = e.received, restricted = e.restricted }, value, event_at, tonumber(length)
end

-- Poison: kept for a person whatever is broken elsewhere. The queue and the alert are tried, the
-- quarantine's own two keys are what counts. What a person took out is not listed again: a rebuild brings the
-- poison once more, before that person's fact or behind it. ARGV as desg_apply with one event, then the reason.
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
  refold_unsettled(ctx)
  pcall(alert_event, ctx, e)
  if redis.pcall('HEXISTS', ctx.prefix .. 'quarantine-taken', e.id) == 1 then
    return { history(), 'q' }
  end
  redis.call('ZADD', ctx.prefix .. 'quarantine-times', ctx.now, e.id)
  redis.call('HSET', kept, e.id, struct.pack('<I8', ctx.now) .. e.header .. e.conversation .. '\n'
    .. string.gsub(args[11], '%c', ' ') .. '\n' .. #e.bytes .. '\n' .. e.bytes .. e.verdict)
  return { history(), 'q' }
end
