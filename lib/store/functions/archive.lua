-- The archive: conversations at rest for long leave Redis. What stays for the configured days: a tombstone
-- of 16 bytes for each event and fact, so that a copy is known as such, in strings by day and first byte
-- that expire as a whole; and of the conversation the state alone, so that what is restricted or Welsh is
-- so again when the person writes again.

local DAY_MS = 86400000
local ARCHIVED_PER_CALL = 2000 -- events and facts: a call stays within milliseconds
local TOMBSTONE_BYTES = 16

local function tombstone_key(prefix, day, id)
  return prefix .. 'tombstones:' .. day .. ':' .. string.sub(id, 1, 2)
end

local function has_tombstone(prefix, id)
  local wanted = from_hex(id)
  for _, day in ipairs(redis.call('ZRANGE', prefix .. 'tombstone-days', 0, -1)) do
    local bucket = redis.call('GET', tombstone_key(prefix, day, id)) or ''
    local at = string.find(bucket, wanted, 1, true)
    while at do
      if at % TOMBSTONE_BYTES == 1 then
        return true
      end
      at = string.find(bucket, wanted, at + 1, true)
    end
  end
  return false
end

-- Whether the event went to the archive before. A message newer than all that did is none of them.
local function is_archived(ctx, c, e)
  return (e.written == 0 or e.written <= c.archived_last) and has_tombstone(ctx.prefix, e.id)
end

local function bury(prefix, ids, day, expires_s)
  local buckets = {}
  for _, id in ipairs(ids) do
    local key = tombstone_key(prefix, day, id)
    buckets[key] = (buckets[key] or '') .. from_hex(id)
  end
  for key, tombstones in pairs(buckets) do
    redis.call('APPEND', key, tombstones)
    redis.call('EXPIREAT', key, expires_s)
  end
end

-- What stays of a conversation: what it would learn again from its events if they were there.
local function write_stub(key, c, count, expires_s)
  local stub = new_work()
  stub.state, stub.severity, stub.archived_n = 'archived', 1, (c.archived_n or 0) + count
  stub.archived_last = math.max(c.archived_last or 0, c.last or 0)
  for _, name in ipairs({ 'closed_at', 'language', 'restricted', 'home_rank', 'home_queue', 'first', 'last', 'channel',
    'account', 'fence', 'tick', 'closed_n', 'wish' }) do
    stub[name] = c[name]
  end
  redis.call('DEL', key)
  redis.call('HSET', key, 'work', pack_work(stub))
  redis.call('EXPIREAT', key, expires_s)
end

-- Tombstones first: a fault in between leaves a conversation that is archived again.
local function archive_one(prefix, id, c, day, expires_s)
  local key, ids, count = prefix .. 'conv:' .. id, {}, 0
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local kind, name = string.match(field, '^([vf]):(.+)$')
    if kind == 'v' then
      count = count + 1
    end
    ids[#ids + 1] = name
  end
  bury(prefix, ids, day, expires_s)
  write_stub(key, c, count, expires_s)
  for _, event in ipairs(ids) do
    redis.call('HDEL', index_key(prefix, event), index_field(event))
  end
  return #ids
end

-- ARGV: least rest in ms, conversations at most, days that tombstones stay. Answers how many went.
local function desg_archive(keys, args)
  local prefix, now, archived, buried = keys[1], clock_ms(), 0, 0
  local day = math.floor(now / DAY_MS)
  local expires_s = (day + 1 + tonumber(args[3])) * DAY_MS / 1000
  redis.call('ZREMRANGEBYSCORE', prefix .. 'tombstone-days', '-inf', now / 1000)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'resting', '-inf', now - tonumber(args[1]), 'LIMIT', 0,
    tonumber(args[2]))) do
    local c = read_work(prefix, id)
    if c and (c.state == 'closed' or c.state == 'quiet') then
      redis.call('ZADD', prefix .. 'tombstone-days', expires_s, day)
      buried = buried + archive_one(prefix, id, c, day, expires_s)
      archived = archived + 1
    end
    redis.call('ZREM', prefix .. 'resting', id)
    if buried >= ARCHIVED_PER_CALL then
      break
    end
  end
  return { history(), archived }
end
