-- Open alerts whose replica of notify has gone. It is the one that told dispatch (teller), or else the one that
-- journalled it last (holder); that nobody's journal has it can only be if one ended between journal and Redis.

local ALERTS_PER_CALL = 500
local UNHELD_MS = 60000

local function is_orphan(ctx, row)
  local source = row.teller or row.holder
  if source then
    return string.find(ctx.silent, source, 1, true)
  end
  return row.state == 'open' and ctx.now - tonumber(row.opened_at_ms) > UNHELD_MS
end

-- The order as the event or a person's word gave it, and how far the one that is gone got: fields 9 to 13.
local function orphan_order(ctx, e, d, row)
  local verdict = is_urged(e, d) and raised_verdict(e.verdict, d.severity, d.grade) or e.verdict
  local is_told = (STATE_ORDER[row.state or ''] or 0) >= STATE_ORDER.accepted
  return table.concat({ alert_order(ctx, e, verdict, row.digest == '1'), '\72\1', is_told and '\80\1' or '',
    '\88', varint(tonumber(row.steps or 0)), '\96', varint(tonumber(row.updates or 0)), '\104',
    varint(tonumber(row.opened_at_ms)) })
end

-- To the stream once more, so that one replica gets it. The asker answers for it until that one says it has it.
local function take_orphan(ctx, alert)
  local key, row = ctx.prefix .. 'alert:' .. alert, {}
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    row[flat[i]] = flat[i + 1]
  end
  if not row.event or not is_orphan(ctx, row) then
    return false
  end
  local record, bytes, decision = unpack(redis.call('HMGET', ctx.prefix .. 'conv:' .. row.conversation,
    'v:' .. row.event, 'e:' .. row.event, 'd:' .. row.event))
  if not record or not bytes then
    return false -- in the archive
  end
  local e = read_record(record)
  e.bytes, e.alerting = bytes, 'live' -- it need not wait to hear who told it
  redis.call('XADD', ctx.prefix .. 'alerts', '*', 'order', orphan_order(ctx, e, read_decision(decision), row))
  redis.call('HSET', key, 'teller', ctx.asker)
  return true
end

-- ARGV: sources that are silent, one behind the other; the source that asks; version of the alert's body; rank
-- to begin at. Answers history, how many it took, the rank to go on at (0: that was all).
local function desg_orphans(keys, args)
  local ctx = { prefix = keys[1], silent = args[1], asker = args[2], render_version = tonumber(args[3]),
    now = clock_ms() }
  local from, taken = tonumber(args[4]), 0
  local alerts = redis.call('ZRANGE', keys[1] .. 'alerts-open', from, from + ALERTS_PER_CALL - 1)
  for _, alert in ipairs(alerts) do
    taken = taken + (take_orphan(ctx, alert) and 1 or 0)
  end
  return { history(), taken, #alerts == ALERTS_PER_CALL and from + ALERTS_PER_CALL or 0 }
end
