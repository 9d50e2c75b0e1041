-- Records of a journal of facts that a function refuses for themselves: passed over by the mark, kept in the
-- journal, and named here until they are applied after all. Beside the mark: both go with the data.

local function aside_key(prefix, source)
  return prefix .. 'aside:' .. source
end

-- ARGV: source, sequence, why.
local function desg_aside(keys, args)
  local key = aside_key(keys[1], args[1])
  redis.call('ZREMRANGEBYSCORE', key, args[2], args[2])
  redis.call('ZADD', key, args[2], args[2] .. ' ' .. args[3]) -- two may be refused for the same reason
  return { history(), 'ok' }
end

-- ARGV: source, first and last sequence that are applied after all.
local function desg_aside_clear(keys, args)
  redis.call('ZREMRANGEBYSCORE', aside_key(keys[1], args[1]), args[2], args[3])
  return { history(), 'ok' }
end

-- ARGV: source, first sequence, limit. Answers history, how many there are, then sequence and why of each.
local function desg_asides(keys, args)
  local key = aside_key(keys[1], args[1])
  local answer = { history(), redis.call('ZCARD', key) }
  local rows = redis.call('ZRANGEBYSCORE', key, args[2], '+inf', 'WITHSCORES', 'LIMIT', 0, args[3])
  for i = 1, #rows, 2 do
    answer[#answer + 1] = string.format('%.0f', tonumber(rows[i + 1]))
    answer[#answer + 1] = string.match(rows[i], '^%d+ (.*)$')
  end
  return answer
end
