-- Places: who owns one, what waits there, and whether an item may be sent at this moment.
local Places = {}
;(function() -- a main chunk has room for 200 names

local REBUILD_MS = 60000 -- what came from a journal waits so long at most for what others know of it
local REBUILD_LEAST_MS = 3000
local RETRY_MS = 1000
local FOUND_PER_CALL = 64
local WAIT_MS = 10 * 60 * 1000 -- so long for what an item is about to come back
local PERSON_KINDS = { ['\1'] = true, ['\5'] = true } -- EVENT_KIND_MESSAGE, EVENT_KIND_POSTBACK

local function place_key(prefix, place)
  return prefix .. 'place:' .. place
end

local function number(value)
  return string.format('%.0f', value)
end

-- Owner and fence of a place as far as its lease has not ended.
local function owner_of(prefix, place, now)
  local owner, fence, ends_at = unpack(redis.call('HMGET', place_key(prefix, place), 'owner', 'fence', 'until'))
  local is_owned = owner and owner ~= '' and tonumber(ends_at) > now
  return is_owned and owner or '', tonumber(fence or nil) or 0, owner or ''
end

-- ARGV: place, name, lease in ms. Answers 1 if it is ours, the fence, the owner. The fence is never below
-- Redis's clock: a Redis rebuilt from journals does not give out an old number again.
function Places.take(keys, args)
  local now, name = clock_ms(), args[2]
  local owner, fence, last = owner_of(keys[1], args[1], now)
  if owner ~= '' and owner ~= name then
    return { history(), 0, number(fence), owner }
  end
  if last ~= name then
    fence = math.max(fence + 1, now)
  end
  redis.call('HSET', place_key(keys[1], args[1]), 'owner', name, 'fence', number(fence), 'until',
    number(now + tonumber(args[3])))
  redis.call('SADD', keys[1] .. 'places', args[1])
  Outbox.born_at(keys[1])
  return { history(), 1, number(fence), name }
end

-- ARGV: place, name.
function Places.leave(keys, args)
  local key = place_key(keys[1], args[1])
  if redis.call('HGET', key, 'owner') == args[2] then
    redis.call('HSET', key, 'owner', '', 'until', '0')
  end
  return { history(), 'ok' }
end

-- ARGV: place, name, cursor (0, a stream id, or >), at most. Answers the cursor, then stream id, item, 1 if it was
-- handed out before. Nothing for who does not own the place. seen: the newest entry ever handed out.
function Places.read(keys, args)
  local prefix, place, cursor = keys[1], args[1], args[3]
  local stream, answer = prefix .. 'outbox:' .. place, {}
  if owner_of(prefix, place, clock_ms()) ~= args[2] then
    return { history(), cursor }
  end
  local seen, entries = redis.call('HGET', place_key(prefix, place), 'seen') or '0-0', {}
  local is_again = cursor ~= '>'
  if is_again then
    entries = redis.call('XRANGE', stream, cursor == '0' and '-' or '(' .. cursor, seen, 'COUNT', args[4])
    cursor = #entries > 0 and entries[#entries][1] or '>'
  end
  if #entries == 0 then
    is_again = false
    entries = redis.call('XRANGE', stream, '(' .. seen, '+', 'COUNT', args[4])
    if #entries > 0 then
      redis.call('HSET', place_key(prefix, place), 'seen', entries[#entries][1])
    end
  end
  answer[1], answer[2] = history(), cursor
  for _, entry in ipairs(entries) do -- id ID item BYTES again 0
    answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = entry[1], entry[2][4],
      (is_again or entry[2][6] == '1') and 1 or 0
  end
  return answer
end

-- ARGV: place, stream ids.
function Places.done(keys, args)
  local count = 0
  for i = 2, #args do
    count = count + Outbox.leave(keys[1], args[1], args[i])
  end
  return { history(), count }
end

-- entry: id, its value, and so on.
local function is_blocked(prefix, entry)
  return redis.call('HGET', prefix .. 'item:' .. entry[2], 'state') == 'blocked'
end

function Places.list(keys)
  local prefix, now, blocked, rows = keys[1], clock_ms(), {}, {}
  for _, id in ipairs(redis.call('ZRANGE', prefix .. 'items-task', 0, 999)) do
    local place, state = unpack(redis.call('HMGET', prefix .. 'item:' .. id, 'place', 'state'))
    if place and state == 'blocked' then
      blocked[place] = true
    end
  end
  for _, place in ipairs(redis.call('SMEMBERS', prefix .. 'places')) do
    local owner, stream = owner_of(prefix, place, now), prefix .. 'outbox:' .. place
    local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    rows[place] = { owner = owner, waiting = redis.call('XLEN', stream),
      blocked = blocked[place] or first and is_blocked(prefix, first[2]) or false,
      oldest_ms = first and math.max(now - tonumber(string.match(first[1], '^%d+')), 0) or 0 }
  end
  return { history(), next(rows) and cjson.encode(rows) or '{}' }
end

-- --- may it be sent now? ---

-- All that hold facts have told theirs to this Redis.
local function have_all_told(prefix)
  local live, sources = history(), redis.call('SMEMBERS', prefix .. 'sources')
  for _, source in ipairs(sources) do
    local kind, caught_up = unpack(redis.call('HMGET', prefix .. 'mark:' .. source, 'kind', 'caught_up'))
    if kind and caught_up ~= live then
      return false
    end
  end
  return #sources > 0
end

-- An item that came back from one journal, or is not even here, while another may know that it was sent. All that
-- hold facts are to have told theirs first.
local function is_rebuilding(prefix, id, it, now, is_known)
  if not is_known then
    Outbox.doubt(prefix, id, it)
  end
  if not it.again or now - tonumber(it.again) > REBUILD_MS then
    return false
  end
  if now - tonumber(it.again) < REBUILD_LEAST_MS then
    return true
  end
  return not have_all_told(prefix)
end

-- ARGV: since when the caller knows who sends, then their sources. In a Redis emptied since then, once all of them
-- have told theirs, what nobody has taken was not sent: it goes to its place. Answers how many.
function Places.find(keys, args)
  local prefix, now = keys[1], clock_ms()
  local ctx, lost = { prefix = prefix, now = now, broadcasts = {} }, redis.call('ZCARD', prefix .. 'items-lost')
  local born = lost > 0 and Outbox.born_at(prefix) or now
  if lost == 0 or tonumber(args[1]) >= born or now - born < REBUILD_LEAST_MS or not have_all_told(prefix) then
    return { history(), 0 }
  end
  for i = 2, #args do
    if not redis.call('HGET', prefix .. 'mark:' .. args[i], 'kind') then
      return { history(), 0 }
    end
  end
  local ids = redis.call('ZRANGE', prefix .. 'items-lost', 0, FOUND_PER_CALL - 1)
  for _, id in ipairs(ids) do
    Outbox.find(ctx, id)
  end
  Broadcasts.settle_all(ctx)
  return { history(), #ids }
end

-- When the person last wrote, by the platform's clock; 0: never. An edit is no new message.
local function last_person_at(key)
  local found = {}
  each_work(key, false, function(e, _, field)
    found[#found + 1] = { moment(e), 'e' .. string.sub(field, 2) }
  end)
  table.sort(found, function(a, b) return a[1] > b[1] end)
  for _, pair in ipairs(found) do
    local bytes = redis.call('HGET', key, pair[2]) or '' -- begins with field 1, the id, and field 2, the kind
    if PERSON_KINDS[string.sub(bytes, 20, 20)] then
      return pair[1]
    end
  end
  return 0
end

-- What keeps a reply from going out: nil and nothing, or a word and why. wait: what it is about is not here yet.
local function stale_reply(prefix, ask)
  local c = read_work(prefix, ask.subject)
  if not c then
    return 'wait'
  end
  if (c.fence or 0) > ask.fence then
    return 'stale', 'the conversation was claimed again' .. (c.owner and ', by ' .. c.owner or '') .. ', under fence '
      .. number(c.fence)
  end
  if ask.last_event == '' then
    return nil
  end
  if c.state ~= 'archived' and redis.call('HEXISTS', prefix .. 'conv:' .. ask.subject, 'v:' .. ask.last_event) == 0 then
    return 'wait'
  end
  local why = unseen(prefix, ask.subject, c, ask.last_event)
  return why and 'stale' or nil, why
end

-- ARGV: now of the caller, place, fence of the owner, item, part, parts, hash, head of the item, then of a reply
-- fence and last event. Answers a word, until, when the person last wrote, the time to be used, the reason.
function Places.begin(keys, args)
  local ctx = { prefix = keys[1], broadcasts = {} }
  local prefix, place, id, part = keys[1], args[2], args[4], tonumber(args[5])
  local now, it = clock_ms(), Outbox.read(keys[1], args[4])
  local function answer(word, more)
    more = more or {}
    return { history(), word, number(more.ends_at or 0), number(more.person or 0), number(more.at or 0),
      more.reason or '' }
  end
  local owner, fence = owner_of(prefix, place, now)
  if owner == '' or fence ~= tonumber(args[3]) then
    return answer('not_owner')
  end
  local is_known = it.head ~= nil
  it.place, it.head = it.place or place, it.head or args[8]
  local head = Outbox.head(it)
  local state, state_at = Outbox.part(it, part)
  local newest_at = Outbox.newest_at(it)
  if it.over == '1' or state == 'sent' or state == 'there' then
    return answer('over')
  end
  local is_back = it['e' .. part] and not (state == 'free' and state_at >= 0) -- unless a person said: again
  if state == 'sending' or state == 'unknown' or is_back then
    return answer('started', { at = newest_at })
  end
  if is_rebuilding(prefix, id, it, now, is_known) then
    return answer('frozen', { ends_at = now + RETRY_MS })
  end
  local has_begun = part > 0 and Outbox.part(it, 0) ~= 'free'
  local word, reason
  if head.kind == 'broadcast' then
    word, reason = Outbox.overtaken(prefix, head, now)
  elseif head.kind == 'reply' and not has_begun then
    word, reason = stale_reply(prefix, { subject = head.subject, fence = tonumber(args[9]), last_event = args[10] })
  end
  if word == 'wait' and (not it.again or now - tonumber(it.again) > WAIT_MS) then
    word, reason = head.kind == 'reply' and 'stale' or 'cancelled', 'what it is about is not there any more'
  end
  if word == 'wait' then
    return answer('frozen', { ends_at = now + RETRY_MS })
  elseif word then
    return answer(word, { reason = reason, at = newest_at + 1 })
  end
  if head.kind == 'broadcast' and not has_begun and Outbox.waits_for_another(prefix, head, id, place) then
    return answer('frozen', { ends_at = now + RETRY_MS })
  end
  local is_by_person = head.kind == 'reply' or head.kind == 'broadcast' and Outbox.ACTIONS[head.action] == 'cancel'
  local frozen_until = not is_by_person and Broadcasts.frozen(prefix, place, now)
  if frozen_until then
    return answer('frozen', { ends_at = frozen_until })
  end
  local at = math.max(tonumber(args[1]), newest_at + 1)
  Outbox.begin(ctx, id, it, part, tonumber(args[6]), at, args[3], args[7])
  Broadcasts.settle_all(ctx)
  local person = head.kind == 'reply' and last_person_at(prefix .. 'conv:' .. head.subject) or 0
  return answer('now', { at = at, person = person })
end
end)()
