-- Alerts: which events order one, the stream as notify reads it, and what became of each.

local STATE_ORDER = { open = 1, accepted = 2, escalated = 3, acknowledged = 4, resolved = 5 }
local NEVER_FALLS = { severity = true, steps = true, updates = true }
local REPLAYED_AFTER_MS = 10 * 60 * 1000

local function varint(number)
  local bytes = {}
  while number >= 128 do
    bytes[#bytes + 1] = string.char(number % 128 + 128)
    number = math.floor(number / 128)
  end
  bytes[#bytes + 1] = string.char(number)
  return table.concat(bytes)
end

local BYTES_BY_HEX = {} -- filled when first used: nothing can be called while the library is loaded

local function from_hex(text)
  if not BYTES_BY_HEX['00'] then
    for byte = 0, 255 do
      BYTES_BY_HEX[string.format('%02x', byte)] = string.char(byte)
    end
  end
  return (string.gsub(text, '%x%x', BYTES_BY_HEX))
end

-- Protobuf merges by appending: fields 1, 3 and 4 of Verdict (is_urgent, severity, grade).
local function raised_verdict(verdict, severity, grade)
  return verdict .. '\8\1\24' .. string.char(severity) .. '\34' .. varint(#grade) .. grade
end

-- A serialised desg.v1.Alert: alert_id, event, verdict, is_replayed, render_version, is_digest_member.
local function alert_order(ctx, e, verdict, is_digest)
  local is_replayed = e.alerting ~= 'live' and ctx.now - e.received > REPLAYED_AFTER_MS
  return table.concat({ '\10\16', from_hex(e.alert), '\18', varint(#e.bytes), e.bytes, '\26', varint(#verdict),
    verdict, is_replayed and '\40\1' or '', '\48', varint(ctx.render_version), is_digest and '\56\1' or '' })
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

-- What notify or the desk said of an alert before its event came (Redis was rebuilt, or the alert went
-- out without it): dispatch knows it as it is, and wants no second one. Whoever acknowledged it knew how
-- severe it was; that it was accepted counts only up to the severity it was accepted at.
local function is_told(ctx, severity, state, told_severity, told_version)
  if told_version and tonumber(told_version) ~= ctx.render_version then
    return false
  end
  if told_severity then
    return (STATE_ORDER[state or ''] or 0) >= STATE_ORDER.accepted and tonumber(told_severity) >= severity
  end
  return (STATE_ORDER[state or ''] or 0) >= STATE_ORDER.acknowledged
end

-- Named in a digest so far, now urgent by itself: it is open anew, whatever was said of its digest before.
local function reopen_alert(ctx, key)
  redis.call('HSET', key, 'state', 'open', 'reopened_at_ms', string.format('%.0f', ctx.now))
  redis.call('HDEL', key, 'steps')
  redis.call('PERSIST', key)
end

-- One stream entry per alert; a second one only if it grew more severe since, so that dispatch
-- hears of it.
local function raise_alert(ctx, e, severity, verdict)
  local key = ctx.prefix .. 'alert:' .. e.alert
  local known, state, stood, version, opened, digest =
    unpack(redis.call('HMGET', key, 'event', 'state', 'severity', 'version', 'opened_at_ms', 'digest'))
  if known and tonumber(stood) >= severity then
    return
  end
  if known then
    redis.call('HSET', key, 'raised_at_ms', string.format('%.0f', ctx.now))
  end
  if known and digest == '1' then
    reopen_alert(ctx, key)
    state = 'open'
  end
  local is_digest = false
  if known or not is_told(ctx, severity, state, stood, version) then
    is_digest = severity == REVIEW and not known and is_above_rate(ctx, e)
    redis.call('XADD', ctx.prefix .. 'alerts', '*', 'order', alert_order(ctx, e, verdict, is_digest))
  end
  opened = known and opened or ctx.now
  redis.call('ZADD', ctx.prefix .. 'alerts-recent', opened, e.alert)
  redis.call('ZREMRANGEBYRANK', ctx.prefix .. 'alerts-recent', 0, -ALERTS_LISTED - 1)
  if state ~= 'acknowledged' and state ~= 'resolved' then
    redis.call('ZADD', ctx.prefix .. 'alerts-open', opened, e.alert)
  end
  redis.call('HSETNX', key, 'state', 'open')
  redis.call('HSET', key, 'event', e.id, 'conversation', e.conversation,
    'severity', math.max(tonumber(stood or nil) or 0, severity), 'channel', e.channel, 'account', e.account,
    'opened_at_ms', opened, 'digest', is_digest and 1 or 0, 'restricted', e.restricted, 'received_at_ms', e.received)
end

-- Whether a person says that the event is urgent: of the events a grade names the newest speaks for all.
local function is_urged(e, d)
  return d and d.is_newest and d.severity >= URGENT and d.severity >= e.severity
end

-- The alert that follows from a person's word, or from an event's verdict.
local function alert_event(ctx, e, d)
  if is_urged(e, d) then
    raise_alert(ctx, e, d.severity, raised_verdict(e.verdict, d.severity, d.grade))
  elseif e.is_work and e.severity >= REVIEW and e.alerting ~= '' then
    raise_alert(ctx, e, e.severity, e.verdict)
  end
end

-- The group is made, or set to read from the start: whatever the stream still holds nobody acknowledged. Redis
-- may have come back with entries before the group's place that are not pending either: a transaction whose end
-- was cut off its append-only file is run, as far as it goes, by the second start after that.
local function desg_alert_group(keys)
  local stream = keys[1] .. 'alerts'
  local made = redis.pcall('XGROUP', 'CREATE', stream, 'notify', '0', 'MKSTREAM')
  if type(made) == 'table' and made.err and string.find(made.err, 'BUSYGROUP', 1, true) then
    made = redis.pcall('XGROUP', 'SETID', stream, 'notify', '0')
  end
  return { history(), type(made) == 'table' and made.err and 'failed' or 'ok' }
end

-- ARGV: stream ids. Read entries leave the stream: notify's journal has them now.
local function desg_alert_ack(keys, args)
  local stream = keys[1] .. 'alerts'
  redis.call('XACK', stream, 'notify', unpack(args))
  return { history(), redis.call('XDEL', stream, unpack(args)) }
end

-- Writes changed, fields and values, with the state, which only moves forward; an alert that is finished is
-- kept for keep_s.
local function advance_alert(prefix, alert, state, keep_s, changed)
  local key, wanted = prefix .. 'alert:' .. alert, STATE_ORDER[state]
  local is_forward = wanted >= (STATE_ORDER[redis.call('HGET', key, 'state') or ''] or 0)
  if is_forward then
    changed[#changed + 1] = 'state'
    changed[#changed + 1] = state
  end
  if #changed > 0 then
    redis.call('HSET', key, unpack(changed))
  end
  if is_forward and wanted >= STATE_ORDER.acknowledged then
    redis.call('ZREM', prefix .. 'alerts-open', alert)
    redis.call('EXPIRE', key, keep_s)
  end
end

-- Of the fields and values from args[from] to args[to] those to be written: all, but some numbers never fall.
local function changed_fields(key, args, from, to)
  local changed = {}
  for i = from, to, 2 do
    local stood = NEVER_FALLS[args[i]] and (tonumber(redis.call('HGET', key, args[i]) or nil) or 0)
    if not stood or (tonumber(args[i + 1]) or 0) > stood then
      changed[#changed + 1] = args[i]
      changed[#changed + 1] = args[i + 1]
    end
  end
  return changed
end

-- ARGV: seconds to keep a finished one; then for each change alert, state, how many arguments follow, and these:
-- fields and values. Answers history, then ok or refused for each.
local function desg_alert_states(keys, args)
  local answer, at = { history() }, 2
  while at <= #args do
    local alert, state, last = args[at], args[at + 1], at + 2 + tonumber(args[at + 2])
    local is_state = STATE_ORDER[state] ~= nil
    if is_state then
      local changed = changed_fields(keys[1] .. 'alert:' .. alert, args, at + 3, last)
      advance_alert(keys[1], alert, state, args[1], changed)
    end
    answer[#answer + 1] = is_state and 'ok' or 'refused'
    at = last + 1
  end
  return answer
end

local function alert_row(prefix, id)
  local flat = redis.call('HGETALL', prefix .. 'alert:' .. id)
  local row = { alert = id }
  for i = 1, #flat, 2 do
    row[flat[i]] = flat[i + 1]
  end
  for _, name in ipairs({ 'severity', 'opened_at_ms', 'received_at_ms', 'restricted' }) do
    row[name] = tonumber(row[name] or nil)
  end
  row.digest = row.digest == '1'
  local c = row.conversation and read_work(prefix, row.conversation)
  if c and c.restricted > (row.restricted or 0) then
    row.restricted = c.restricted -- another event made it so
  end
  return row, #flat > 0
end

-- ARGV: alert.
local function desg_alert_get(keys, args)
  local row, is_there = alert_row(keys[1], args[1])
  return { history(), is_there and cjson.encode(row) or 'null' }
end

-- ARGV: 1 = open ones only, limit. Newest first.
local function desg_alerts(keys, args)
  local rows = {}
  local ids = redis.call('ZREVRANGE', keys[1] .. (args[1] == '1' and 'alerts-open' or 'alerts-recent'), 0,
    tonumber(args[2]) - 1)
  for _, id in ipairs(ids) do
    rows[#rows + 1] = alert_row(keys[1], id)
  end
  return { history(), #rows > 0 and cjson.encode(rows) or '[]' }
end
