-- How far each source (journal) is applied, beside the data and fenced by the live history.
-- Numbers are 64 bits wide and stay text: Lua's would lose digits.

-- ARGV: source.
local function desg_hello(keys, args)
  local mark = redis.call('HMGET', keys[1] .. 'mark:' .. args[1], 'incarnation', 'sequence', 'beat')
  return { history(), mark[1] or '0', mark[2] or '0', mark[3] or '0' }
end

-- ARGV: source, history quoted, incarnation, sequence, previous incarnation, previous sequence, beat,
-- previous beat. A beat is another with each mark: a machine restored from an image keeps its history, and
-- perhaps the sequence of the mark has not moved since, but its beat has.
local function desg_mark(keys, args)
  local live, key = history(), keys[1] .. 'mark:' .. args[1]
  local stored = redis.call('HMGET', key, 'incarnation', 'sequence', 'beat')
  local is_accepted = args[2] == live and (stored[1] or '0') == args[5] and (stored[2] or '0') == args[6]
    and (stored[3] or '0') == (args[8] or '0')
  if is_accepted then
    redis.call('HSET', key, 'incarnation', args[3], 'sequence', args[4], 'beat', args[7] or '0')
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
    redis.call('HINCRBY', keys[1] .. 'mark:' .. args[1], 'reports', 1)
  end
  return { live, 'ok' }
end

local function desg_sources(keys)
  local live, rows = history(), {}
  local sources = redis.call('SMEMBERS', keys[1] .. 'sources')
  table.sort(sources)
  for _, source in ipairs(sources) do
    local kind, name, caught_up, reports =
      unpack(redis.call('HMGET', keys[1] .. 'mark:' .. source, 'kind', 'name', 'caught_up', 'reports'))
    if kind then
      rows[#rows + 1] = { source = source, kind = kind, name = name, is_caught_up = caught_up == live,
        reports = tonumber(reports or nil) or 0 }
    end
  end
  return { live, #rows > 0 and cjson.encode(rows) or '[]' }
end

-- ARGV: source, number, hash of the newest record of its audit chain. Never lowered: a chain cut short shows.
local function desg_head(keys, args)
  local key = keys[1] .. 'mark:' .. args[1]
  local known = tonumber(redis.call('HGET', key, 'head_number') or '0')
  if tonumber(args[2]) >= known then
    redis.call('SADD', keys[1] .. 'sources', args[1])
    redis.call('HSET', key, 'head_number', args[2], 'head_hash', args[3])
  end
  return { history(), 'ok' }
end

-- Answers history, then source, number and hash of each chain.
local function desg_heads(keys)
  local answer = { history() }
  local sources = redis.call('SMEMBERS', keys[1] .. 'sources')
  table.sort(sources)
  for _, source in ipairs(sources) do
    local number, hash = unpack(redis.call('HMGET', keys[1] .. 'mark:' .. source, 'head_number', 'head_hash'))
    if number then
      for _, part in ipairs({ source, number, hash }) do answer[#answer + 1] = part end
    end
  end
  return answer
end
