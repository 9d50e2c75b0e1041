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

-- ARGV: source, history quoted, kind, name, 1 if all it holds is applied. Beside the mark, so that it goes
-- where that goes; under another history it says nothing.
local function desg_source_report(keys, args)
  local live = history()
  if args[2] == live then
    redis.call('SADD', keys[1] .. 'sources', args[1])
    redis.call('HSET', keys[1] .. 'mark:' .. args[1], 'kind', args[3], 'name', args[4],
      'caught_up', args[5] == '1' and live or '')
  end
  return { live, 'ok' }
end

local function desg_sources(keys)
  local live, rows = history(), {}
  local sources = redis.call('SMEMBERS', keys[1] .. 'sources')
  table.sort(sources)
  for _, source in ipairs(sources) do
    local kind, name, caught_up = unpack(redis.call('HMGET', keys[1] .. 'mark:' .. source, 'kind', 'name', 'caught_up'))
    if kind then
      rows[#rows + 1] = { source = source, kind = kind, name = name, is_caught_up = caught_up == live }
    end
  end
  return { live, #rows > 0 and cjson.encode(rows) or '[]' }
end
