-- The alert stream as notify reads it, and what became of each alert.

local STATE_ORDER = { open = 1, accepted = 2, escalated = 3, acknowledged = 4, resolved = 5 }

local function desg_alert_group(keys)
  local made = redis.pcall('XGROUP', 'CREATE', keys[1] .. 'alerts', 'notify', '0', 'MKSTREAM')
  local is_there = type(made) == 'table' and made.err and not string.find(made.err, 'BUSYGROUP', 1, true)
  return { history(), is_there and 'failed' or 'ok' }
end

-- ARGV: stream ids. Read entries leave the stream: notify's journal has them now.
local function desg_alert_ack(keys, args)
  local stream = keys[1] .. 'alerts'
  redis.call('XACK', stream, 'notify', unpack(args))
  return { history(), redis.call('XDEL', stream, unpack(args)) }
end

-- ARGV: alert, state, seconds to keep a finished one, then fields and values. Fields are always
-- written; the state only moves forward.
local function desg_alert_state(keys, args)
  local key, wanted = keys[1] .. 'alert:' .. args[1], STATE_ORDER[args[2]]
  if not wanted then
    return { history(), 'refused', 'no such state' }
  end
  for i = 4, #args - 1, 2 do
    redis.call('HSET', key, args[i], args[i + 1])
  end
  if wanted >= (STATE_ORDER[redis.call('HGET', key, 'state') or ''] or 0) then
    redis.call('HSET', key, 'state', args[2])
    if wanted >= STATE_ORDER.acknowledged then
      redis.call('ZREM', keys[1] .. 'alerts-open', args[1])
      redis.call('EXPIRE', key, args[3])
    end
  end
  return { history(), 'ok' }
end

-- ARGV: 1 = open ones only, limit. Newest first.
local function desg_alerts(keys, args)
  local rows = {}
  local ids = redis.call('ZREVRANGE', keys[1] .. (args[1] == '1' and 'alerts-open' or 'alerts-recent'), 0,
    tonumber(args[2]) - 1)
  for _, id in ipairs(ids) do
    local flat = redis.call('HGETALL', keys[1] .. 'alert:' .. id)
    local row = { alert = id }
    for i = 1, #flat, 2 do
      row[flat[i]] = flat[i + 1]
    end
    for _, name in ipairs({ 'severity', 'opened_at_ms', 'received_at_ms', 'restricted' }) do
      row[name] = tonumber(row[name] or nil)
    end
    row.digest = row.digest == '1'
    rows[#rows + 1] = row
  end
  return { history(), #rows > 0 and cjson.encode(rows) or '[]' }
end
