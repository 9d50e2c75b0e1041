-- Facts: what people decided. A close and a grade name the events they cover and the severity each stood
-- at; they may come before those events, and several times. f:<id> of the conversation is the fact's own
-- record: a line "kind at agent", a line of what it covers (32 hex digits and a severity each), then the
-- serialised desg.v1.Fact without that.

local COVERED_BYTES = 33
local FACT_ARGS = 9

local function read_fact(args, at)
  local when, severity, allowance, grade = string.match(args[at + 3], '^(%d+) (%d) (%d+) (%S+)$')
  return { id = args[at], conversation = args[at + 1], kind = args[at + 2], at = tonumber(when),
    severity = tonumber(severity), allowance = tonumber(allowance), grade = grade, agent = args[at + 4],
    covered = args[at + 5], dispatcher = args[at + 6], log_number = args[at + 7], bytes = args[at + 8] }
end

local function fact_record(f)
  return table.concat({ f.kind, ' ', string.format('%.0f', f.at), ' ', f.agent, '\n', f.covered, '\n', f.bytes })
end

local function read_fact_record(text)
  local kind, at, agent, covered, bytes_at = string.match(text, '^(%S+) (%d+) ([^\n]*)\n([^\n]*)\n()')
  return { kind = kind, at = tonumber(at), agent = agent, covered = covered, bytes = string.sub(text, bytes_at) }
end

-- Joins a fact into what was decided of one event: the highest severity closed at, the latest grade.
local function decide(d, f, severity, is_newest)
  if f.kind == 'closed' then
    d.closed_over = math.max(d.closed_over, severity)
    if is_later(f.at, f.id, d.closed_at, d.closed_by) then
      d.closed_at, d.closed_by = f.at, f.id
    end
  elseif is_later(f.at, f.id, d.graded_at, d.graded_by) then
    d.severity, d.graded_over, d.graded_at, d.graded_by = f.severity, severity, f.at, f.id
    d.is_newest, d.allowance, d.grade = is_newest, f.allowance, f.grade
  end
end

local function alert_newest(ctx, key, f, event, d)
  local found = redis.call('HMGET', key, 'v:' .. event, 'e:' .. event)
  local e = found[1] and found[2] and read_record(found[1])
  if e and is_urged(e, d) then -- if it is not there yet its alert is ordered when it comes
    e.id, e.conversation, e.bytes = event, f.conversation, found[2]
    alert_event(ctx, e, d)
  end
end

-- Writes what the fact says of the events it covers. The last one named is the newest.
local function cover(ctx, key, f)
  for at = 1, #f.covered, COVERED_BYTES do
    local event = string.sub(f.covered, at, at + 31)
    local is_newest = at + COVERED_BYTES > #f.covered
    local d = read_decision(redis.call('HGET', key, 'd:' .. event)) or new_decision()
    decide(d, f, tonumber(string.sub(f.covered, at + 32, at + 32)), is_newest)
    redis.call('HSET', key, 'd:' .. event, write_decision(d))
    if is_newest and f.kind == 'graded' and d.graded_by == f.id then
      alert_newest(ctx, key, f, event, d)
    end
  end
end

-- A person took an alert as known to dispatch. Its event may come later, and finds it told.
local function take_alert(ctx, f)
  advance_alert(ctx.prefix, f.covered, 'acknowledged', ctx.keep_s, { 'dispatcher', f.dispatcher, 'log_number',
    f.log_number, 'taken_by', f.agent, 'taken_at_ms', string.format('%.0f', f.at) })
end

-- A person took an event out of quarantine. It stays out, also if it is set aside after this.
local function take_out(ctx, f)
  local row = quarantine_row(ctx.prefix, f.covered)
  redis.call('HSET', ctx.prefix .. 'quarantine-taken', f.covered, f.id)
  if row then
    note_action(ctx.prefix, 'quarantine_removed', f.agent, row.conversation, f.covered)
    redis.call('ZREM', ctx.prefix .. 'quarantine-times', f.covered)
    redis.call('HDEL', ctx.prefix .. 'quarantine', f.covered)
  end
end

-- The effects of a fact on its conversation, short of the refold.
local function bring_in(ctx, c, f)
  local key = ctx.prefix .. 'conv:' .. f.conversation
  if not c.state then
    come_to_rest(ctx, c, f.conversation, 'quiet')
    c.severity = 1
  end
  c.has_facts = 1
  if f.kind == 'wished' then
    Wish.take(c, f)
    f.covered = ''
  elseif f.kind == 'closed' then
    c.closed_at = math.max(c.closed_at or 0, f.at)
  end
  if f.kind == 'closed' or f.kind == 'graded' then
    unsettle(ctx, c, f.conversation)
    write_work(ctx.prefix, f.conversation, c)
    cover(ctx, key, f)
  else
    write_work(ctx.prefix, f.conversation, c)
  end
end

-- From a journal. Its own record comes last; a conversation it left unsettled is refolded in the same call,
-- or, after a fault, by the next that touches it.
local function apply_fact(ctx, f)
  if f.kind == 'alert_taken' then
    take_alert(ctx, f)
    f.covered = ''
  elseif f.kind == 'quarantine_taken' then
    take_out(ctx, f)
    return
  end
  if f.conversation == '' then
    return
  end
  local key = ctx.prefix .. 'conv:' .. f.conversation
  local c = read_work(ctx.prefix, f.conversation) or new_work()
  if c.is_unsettled then
    unsettle(ctx, c, f.conversation)
  end
  if redis.call('HEXISTS', key, 'f:' .. f.id) == 1 or c.archived_n and has_tombstone(ctx.prefix, f.id) then
    return
  end
  bring_in(ctx, c, f)
  redis.call('HSET', key, 'f:' .. f.id, fact_record(f))
end

local function fact_context(keys, args)
  return { prefix = keys[1], now = tonumber(args[1]), render_version = tonumber(args[2]), keep_s = tonumber(args[3]),
    queues_known = {}, unsettled = {}, raised = {} }
end

-- ARGV: now, version of the alert's body, seconds to keep a finished alert, then nine per fact: fact,
-- conversation or "", kind, "at severity allowance grade", agent, what it covers (or the alert, the event it takes),
-- dispatcher, log number, serialised fact. A fact that fails does not touch its neighbours. Answers history,
-- then "", or the first fault, whose it is, and how many facts failed.
local function desg_facts(keys, args)
  local ctx, fault, whose, count = fact_context(keys, args), nil, nil, 0
  for at = 4, #args, FACT_ARGS do
    local is_done, why = pcall(function() apply_fact(ctx, read_fact(args, at)) end)
    if not is_done then
      count = count + 1
      fault, whose = fault or why, whose or 'fact ' .. args[at]
    end
  end
  local why, conversation = refold_unsettled(ctx)
  if why then
    count = count + 1
    fault, whose = fault or why, whose or 'conversation ' .. conversation
  end
  return { history(), fault and fault_text(fault) or '', whose or '', count }
end

-- What nobody's decision covers yet, in the order it happened.
local function uncovered(c, key)
  local found, rows = {}, {}
  each_work(key, c.has_facts, function(e, d, field)
    if not is_covered(c, e, d) then
      e.id = string.sub(field, 3)
      found[#found + 1] = { e }
      rows[e.id] = e.id .. e.severity
    end
  end)
  table.sort(found, by_moment)
  for i, pair in ipairs(found) do
    found[i] = rows[pair[1].id]
  end
  return table.concat(found)
end

-- What came or rose unseen by whoever decides f; nil if nothing did. Whoever names no last event has seen what
-- was there at the claim; that a verdict rose since only a new claim can say. A grade that lowers nothing may go
-- without: it hides nothing.
local function overlooked(ctx, c, f, last_event)
  local hides = f.kind == 'closed' or f.kind == 'graded' and f.severity < (c.severity or 0)
  if hides and c.has_risen then
    return 'its severity rose since it was claimed, by event ' .. c.last_event .. ': claim it again'
  end
  if last_event ~= '' then
    return unseen(ctx.prefix, f.conversation, c, last_event)
  end
  return hides and c.seen_tick and c.tick > c.seen_tick and 'something newer came: event ' .. c.last_event or nil
end

-- What keeps agent from deciding fact f; nil if nothing does.
local function undecidable(ctx, c, f, fence, last_event)
  if f.kind == 'alert_taken' then
    if redis.call('EXISTS', ctx.prefix .. 'alert:' .. f.covered) == 0 then
      return 'there is no such alert'
    end
  elseif f.kind == 'noted' or f.kind == 'wished' then
    if not c or c.state == 'archived' then
      return 'there is no such conversation'
    end
  else
    return stale(c, f.agent, fence) or overlooked(ctx, c, f, last_event)
  end
  return nil
end

-- ARGV: now, version, seconds, then one fact as desg_facts has it, then fence and last event seen or "".
-- Answers history, then ok or repeat with the conversation, what the fact covers and the serialised fact as
-- it was given first; or refused and the reason.
local function desg_decide(keys, args)
  local ctx, f = fact_context(keys, args), read_fact(args, 4)
  sweep(ctx.prefix)
  if f.kind == 'alert_taken' then
    f.conversation = redis.call('HGET', ctx.prefix .. 'alert:' .. f.covered, 'conversation') or f.conversation
  end
  local key = ctx.prefix .. 'conv:' .. f.conversation
  local known = redis.call('HGET', key, 'f:' .. f.id)
  if known then
    local was = read_fact_record(known)
    return { history(), 'repeat', f.conversation, was.covered, was.bytes }
  end
  local c = f.conversation ~= '' and read_work(ctx.prefix, f.conversation) or nil
  local problem = undecidable(ctx, c, f, args[4 + FACT_ARGS], args[5 + FACT_ARGS])
  if problem then
    return { history(), 'refused', problem }
  end
  if f.kind == 'alert_taken' then
    take_alert(ctx, f)
    f.covered = ''
  elseif f.kind == 'closed' or f.kind == 'graded' then
    f.covered = uncovered(c, key)
  end
  if c then
    bring_in(ctx, c, f)
    if ctx.unsettled[f.conversation] then
      refold(ctx, f.conversation)
    end
    redis.call('HSET', key, 'f:' .. f.id, fact_record(f))
  end
  return { history(), 'ok', f.conversation, f.covered, f.bytes }
end
