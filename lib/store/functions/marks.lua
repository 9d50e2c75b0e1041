-- How far each source (journal) is applied, beside the data and fenced by the live history.
-- Numbers are 64 bits wide and stay text: Lua's would lose digits.

-- ARGV: source.
local function desg_hello(keys, args)
  local mark = redis.call('HMGET', keys[1] .. 'mark:' .. args[1], 'incarnation', 'sequence')
  return { history(), mark[1] or '0', mark[2] or '0' }
end

-- ARGV: source, history quoted, incarnation, sequence, previous incarnation, previous sequence.
local function desg_mark(keys, args)
  local live, key = history(), keys[1] .. 'mark:' .. args[1]
  local stored = redis.call('HMGET', key, 'incarnation', 'sequence')
  local is_accepted = args[2] == live and (stored[1] or '0') == args[5] and (stored[2] or '0') == args[6]
  if is_accepted then
    redis.call('HSET', key, 'incarnation', args[3], 'sequence', args[4])
  end
  return { live, is_accepted and 1 or 0 }
end
