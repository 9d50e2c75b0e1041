-- Broadcasts: a fold over what people decided of their versions, in any order. broadcast:<id> holds:
--   d:<version>   a draft: at, fact, kind, starts, expires, publish at, 1 if its end is said, written at, 1 if there
--                 is Welsh, when Welsh is due (0: not owed); author; outlets; the serialised desg.v1.Broadcast
--   a:<version>, p:<version>   approved, published: at, fact, agent (the first of each)
--   c             cancelled: at, fact, agent, reason (the first)
--   o:<item>      an item of it, with its head
--   again         a fact of it came from a journal: its items may have been sent before
--   q:<version>   its items are in the outbox; x: it has ended, when. Of this Redis alone: found again
--   state, version, in_force, public, changed, sequence, row: what follows
local Broadcasts = {}
;(function() -- a main chunk has room for 200 names

local KEEP_S = 90 * 86400
local POST, UPDATE, CANCEL, END = 1, 2, 3, 4
local STATES = { draft = 1, approved = 2, scheduled = 3, published = 4, expired = 5, cancelled = 6 }
local KINDS = { 'road-closure', 'live-incident', 'advice', 'appeal' }
local SWEPT_PER_CALL = 64

local function broadcast_key(prefix, id)
  return prefix .. 'broadcast:' .. id
end

local function number(value)
  return string.format('%.0f', value)
end

local function read_draft(text)
  local at, fact, kind, starts, expires, publish_at, ends, written, welsh, due, author, outlets, bytes_at =
    string.match(text, '^(%d+) (%S+) (%d+) (%d+) (%d+) (%d+) (%d) (%d+) (%d) (%d+)\n([^\n]*)\n([^\n]*)\n()')
  local d = { at = tonumber(at), fact = fact, kind = tonumber(kind), starts = tonumber(starts),
    expires = tonumber(expires), publish_at = tonumber(publish_at), says_ended = ends == '1',
    written = tonumber(written), has_welsh = welsh == '1', welsh_due = tonumber(due), author = author, outlets = {},
    bytes = string.sub(text, bytes_at) }
  for outlet in string.gmatch(outlets, '[^,]+') do
    d.outlets[#d.outlets + 1] = outlet
  end
  return d
end

local function read_word(text)
  local at, fact, agent, reason = string.match(text, '^(%d+) (%S+) ([^\n]*)\n?(.*)$')
  return { at = tonumber(at), fact = fact, agent = agent, reason = reason }
end

-- newest: the highest version drafted. in_force: the highest that is to be read by the public; pending: one above
-- it whose time has not come.
function Broadcasts.read(prefix, id)
  local flat = redis.call('HGETALL', broadcast_key(prefix, id))
  local b = { id = id, drafts = {}, approved = {}, published = {}, put = {}, items = {}, newest = 0, in_force = 0,
    pending = 0, fields = {} }
  local by_letter = { d = { b.drafts, read_draft }, a = { b.approved, read_word }, p = { b.published, read_word },
    q = { b.put, tonumber } }
  for i = 1, #flat, 2 do
    local letter, rest = string.match(flat[i], '^(%l):(%x+)$')
    if letter == 'o' then
      b.items[rest] = flat[i + 1]
    elseif letter then
      by_letter[letter][1][tonumber(rest)] = by_letter[letter][2](flat[i + 1])
    else
      b.fields[flat[i]] = flat[i + 1]
    end
  end
  b.cancelled = b.fields.c and read_word(b.fields.c)
  b.ended = tonumber(b.fields.x or nil)
  for version in pairs(b.drafts) do
    b.newest = math.max(b.newest, version)
  end
  for version, word in pairs(b.published) do
    local d = b.drafts[version]
    if d and (d.publish_at <= word.at or b.put[version]) then
      b.in_force = math.max(b.in_force, version)
    elseif d then
      b.pending = math.max(b.pending, version)
    end
  end
  if b.pending < b.in_force then
    b.pending = 0
  end
  return b
end

local function state_of(b)
  if b.cancelled then
    return 'cancelled'
  elseif b.in_force > 0 then
    return b.ended and 'expired' or 'published'
  elseif b.pending > 0 then
    return 'scheduled'
  end
  return b.approved[b.newest] and 'approved' or 'draft'
end

local function changed_at(b, state)
  if state == 'cancelled' then
    return b.cancelled.at
  elseif state == 'expired' then
    return b.drafts[b.in_force].expires
  elseif state == 'published' then
    return math.max(b.published[b.in_force].at, b.drafts[b.in_force].publish_at)
  end
  return 0
end

-- --- the outbox ---

local function field(tag, bytes)
  return string.char(tag) .. varint(#bytes) .. bytes
end

-- A serialised desg.v1.OutboxItem.
local function item_bytes(id, place, at, broadcast, action)
  return field(10, from_hex(id)) .. field(18, place) .. '\24' .. varint(at)
    .. field(50, field(10, broadcast) .. '\16' .. string.char(action))
end

-- An update goes wherever an earlier version went, too: who read that has to read this.
local function outlets_up_to(b, version)
  local outlets, before, known = {}, {}, {}
  for other, d in pairs(b.drafts) do
    if other == version or other < version and b.published[other] then
      for _, outlet in ipairs(d.outlets) do
        before[outlet] = before[outlet] or other < version
        if not known[outlet] then
          known[outlet] = true
          outlets[#outlets + 1] = outlet
        end
      end
    end
  end
  table.sort(outlets)
  return outlets, before
end

-- The item's id comes from what it is for, so it is the same however often and wherever it is made. An update has
-- that of a post: which of the two it is may not be known yet when facts come in any order.
local function put_item(ctx, b, version, outlet, action, at)
  local what = action <= UPDATE and 'say ' .. version or 'over ' .. action
  local id = string.sub(redis.sha1hex(table.concat({ what, b.id, outlet }, ' ')), 1, 32)
  local place = 'outlet:' .. outlet
  Outbox.put(ctx, { id = id, place = place, broadcast = b.id,
    head = table.concat({ 'broadcast', b.id, version, action, number(at) }, ' '),
    bytes = item_bytes(id, place, at, b.drafts[version].bytes, action) }, b.fields.again == '1')
end

local function put_version(ctx, b)
  local version, d = b.in_force, b.drafts[b.in_force]
  if b.put[version] == 1 or d.expires <= ctx.now then
    return
  end
  local outlets, before = outlets_up_to(b, version)
  for _, outlet in ipairs(outlets) do
    put_item(ctx, b, version, outlet, before[outlet] and UPDATE or POST, changed_at(b, 'published'))
  end
  redis.call('HSET', broadcast_key(ctx.prefix, b.id), 'q:' .. version, '1')
end

-- Where something was posted, or may have been, it is edited or removed now that it is over.
local function put_over(ctx, b, state)
  local outlets = {}
  for id, head in pairs(b.items) do
    local action = tonumber(string.match(head, '^broadcast %x+ %d+ (%d)'))
    local begun, sent, place = unpack(redis.call('HMGET', ctx.prefix .. 'item:' .. id, 'i0', 's0', 'place'))
    if action and action <= UPDATE and (begun or sent) then
      outlets[string.match(place, '^outlet:(.*)$') or ''] = true
    end
  end
  outlets[''] = nil
  for outlet in pairs(outlets) do
    put_item(ctx, b, b.in_force, outlet, state == 'cancelled' and CANCEL or END, changed_at(b, state))
  end
end

-- Whether item head is no longer to be said: 'cancelled' and why, or 'wait' if its broadcast is not here yet.
function Outbox.overtaken(prefix, head, now)
  local cancelled, ended, in_force, expires =
    unpack(redis.call('HMGET', broadcast_key(prefix, head.subject), 'c', 'x', 'in_force', 'expires'))
  if not in_force or tonumber(in_force) < head.version then
    return cancelled and 'cancelled' or 'wait', 'it was cancelled'
  end
  if head.action == CANCEL then
    return nil
  elseif cancelled then
    return 'cancelled', 'it was cancelled'
  elseif head.action == END then
    return nil
  elseif ended or tonumber(expires) <= now then
    return 'cancelled', 'it has ended'
  elseif tonumber(in_force) > head.version then
    return 'cancelled', 'version ' .. in_force .. ' has taken its place'
  end
  return nil
end

-- Whether something of the broadcast may be at this place or not: it is known, or a person says so, before it is
-- edited, taken back or followed by another.
function Outbox.waits_for_another(prefix, head, id, place)
  if head.action == POST then
    return false
  end
  for other in pairs(Broadcasts.read(prefix, head.subject).items) do
    local at, state = unpack(redis.call('HMGET', prefix .. 'item:' .. other, 'place', 'state'))
    if other ~= id and at == place and (state == 'sending' or state == 'unknown') then
      return true
    end
  end
  return false
end

function Outbox.is_overtaken(prefix, head)
  return head.action <= UPDATE and Outbox.overtaken(prefix, head, clock_ms()) == 'cancelled'
end

-- --- what follows ---

local function next_due(b, state)
  if state == 'scheduled' then
    return b.drafts[b.pending].publish_at
  elseif state == 'published' then
    local expires = b.drafts[b.in_force].expires
    return b.pending > 0 and math.min(b.drafts[b.pending].publish_at, expires) or expires
  end
  return nil
end

local function owes_welsh(b, state)
  local d = b.drafts[b.in_force]
  return state == 'published' and not d.has_welsh and d.welsh_due > 0 and d.welsh_due or nil
end

local function keep_in(key, id, score)
  if score then
    redis.call('ZADD', key, number(score), id)
  else
    redis.call('ZREM', key, id)
  end
end

local function row_of(b, state)
  local d, approval, published = b.drafts[b.newest], b.approved[b.newest], b.published[b.in_force]
  return { broadcast = b.id, version = b.newest, state = state, kind = KINDS[d.kind], author = d.author,
    approved_by = approval and approval.agent or nil, published_by = published and published.agent or nil,
    published_version = b.in_force, scheduled_version = b.pending, published_at_ms = published and published.at or 0,
    publish_at_ms = d.publish_at, starts_at_ms = d.starts, expires_at_ms = d.expires, written_at_ms = d.written,
    changed_at_ms = changed_at(b, state), versions = b.newest, welsh_due_ms = owes_welsh(b, state),
    cancelled_by = b.cancelled and b.cancelled.agent or nil, reason = b.cancelled and b.cancelled.reason or nil }
end

-- What the public can read changed: consumers are told by the number.
local function make_public(ctx, b, state, changes)
  local public = STATES[state] >= STATES.published and b.in_force > 0 and state .. ' ' .. b.in_force or nil
  if not public or public == b.fields.public then
    return
  end
  changes.public = public
  changes.sequence = redis.call('HINCRBY', ctx.prefix .. 'news', 'sequence', 1)
  redis.call('ZADD', ctx.prefix .. 'broadcasts-public', state == 'published' and 0 or number(changed_at(b, state)), b.id)
end

local function settle(ctx, id)
  local b, key = Broadcasts.read(ctx.prefix, id), broadcast_key(ctx.prefix, id)
  if b.newest == 0 then
    return -- its draft is not here yet
  end
  local state = state_of(b)
  local changes = { state = state, version = b.newest, in_force = b.in_force,
    expires = b.in_force > 0 and number(b.drafts[b.in_force].expires) or nil }
  make_public(ctx, b, state, changes)
  changes.row = cjson.encode(row_of(b, state))
  for name, value in pairs(changes) do
    redis.call('HSET', key, name, value)
  end
  redis.call('EXPIRE', key, KEEP_S)
  redis.call('ZADD', ctx.prefix .. 'broadcasts', number((b.drafts[1] or b.drafts[b.newest]).written), id)
  if state == 'published' then
    put_version(ctx, b)
  elseif b.in_force > 0 then
    put_over(ctx, b, state)
  end
  keep_in(ctx.prefix .. 'broadcasts-due', id, next_due(b, state))
  keep_in(ctx.prefix .. 'welsh-owed', id, owes_welsh(b, state))
  for item in pairs(b.items) do -- what was overtaken asks nobody any more
    local it = Outbox.read(ctx.prefix, item)
    if it.state == 'refused' or it.state == 'blocked' then
      Outbox.settle(ctx, item, it)
    end
  end
end

-- Those that a call touched; what settling one does to its items may touch it once more. Answers the first fault
-- and whose it is.
function Broadcasts.settle_each(ctx)
  local fault, whose
  for _ = 1, 3 do
    local touched = ctx.broadcasts
    ctx.broadcasts = {}
    for id in pairs(touched) do
      local is_done, why = pcall(settle, ctx, id)
      if not is_done then
        fault, whose = fault or why, whose or 'broadcast ' .. id
      end
    end
  end
  return fault, whose
end

function Broadcasts.settle_all(ctx)
  local fault = Broadcasts.settle_each(ctx)
  if fault then
    error(fault, 0)
  end
end

-- A fact of a journal came late: what was put by those before it is looked at once more.
local function doubt(ctx, id)
  local key = broadcast_key(ctx.prefix, id)
  for version in pairs(Broadcasts.read(ctx.prefix, id).put) do
    redis.call('HSET', key, 'q:' .. version, '0')
  end
  redis.call('HSET', key, 'again', '1')
end

-- f: id, kind, subject, at, agent, words, text, list, bytes.
function Broadcasts.note(ctx, f)
  local key = broadcast_key(ctx.prefix, f.subject)
  local head, is_known = number(f.at) .. ' ' .. f.id .. ' ', false
  if f.kind == 'drafted' then
    local version, words = string.match(f.words, '^(%d+) (.*)$')
    local stood = redis.call('HGET', key, 'd:' .. version)
    local text = head .. words .. '\n' .. f.text .. '\n' .. f.list .. '\n' .. f.bytes
    if not stood or is_later(f.at, f.id, read_draft(stood).at, read_draft(stood).fact) then
      redis.call('HSET', key, 'd:' .. version, text)
    end
    is_known = stood
  else
    local name = f.kind == 'approved' and 'a:' .. f.words or f.kind == 'published' and 'p:' .. f.words or 'c'
    local stood = redis.call('HGET', key, name)
    local was = stood and read_word(stood)
    if not was or is_later(was.at, was.fact, f.at, f.id) then
      redis.call('HSET', key, name, head .. f.agent .. '\n' .. f.text)
    end
    is_known = stood
  end
  if ctx.is_replayed and not is_known then
    doubt(ctx, f.subject)
  end
  redis.call('EXPIRE', key, KEEP_S)
  ctx.broadcasts[f.subject] = true
end

-- --- the freeze ---

-- Until when nothing automatic goes out; nil: it goes. Places named go on.
function Broadcasts.frozen(prefix, place, now)
  local ends_at, except = unpack(redis.call('HMGET', prefix .. 'freeze', 'until', 'except'))
  if not ends_at or tonumber(ends_at) <= now then
    return nil
  end
  for name in string.gmatch(except, '[^\n]+') do
    if name == place or 'outlet:' .. name == place then
      return nil
    end
  end
  return tonumber(ends_at)
end

function Broadcasts.note_freeze(ctx, f)
  local key = ctx.prefix .. 'freeze'
  local at, fact = unpack(redis.call('HMGET', key, 'at', 'fact'))
  if not at or is_later(f.at, f.id, tonumber(at), fact) then
    redis.call('HSET', key, 'at', number(f.at), 'fact', f.id, 'until', f.words, 'reason', f.text, 'by', f.agent,
      'except', f.list)
  end
end

-- Answers JSON or null.
function Broadcasts.freeze(keys)
  local ends_at, reason, by, except, at =
    unpack(redis.call('HMGET', keys[1] .. 'freeze', 'until', 'reason', 'by', 'except', 'at'))
  if not ends_at or tonumber(ends_at) <= clock_ms() then
    return { history(), 'null', '' }
  end
  return { history(), cjson.encode({ until_ms = tonumber(ends_at), reason = reason, by = by, at_ms = tonumber(at) }),
    except }
end

-- --- time passes ---

local function may_publish(ctx, b)
  for _, outlet in ipairs(b.drafts[b.pending].outlets) do
    if not Broadcasts.frozen(ctx.prefix, 'outlet:' .. outlet, ctx.now) then
      return true
    end
  end
  return false
end

local function sweep_one(ctx, id)
  local b = Broadcasts.read(ctx.prefix, id)
  local pending = b.drafts[b.pending]
  if not b.cancelled and pending and pending.publish_at <= ctx.now and pending.expires > ctx.now then
    if not may_publish(ctx, b) then
      return false
    end
    redis.call('HSET', broadcast_key(ctx.prefix, id), 'q:' .. b.pending, '0') -- it is in force, and to be put
  elseif b.in_force > 0 and b.drafts[b.in_force].expires <= ctx.now then
    redis.call('HSET', broadcast_key(ctx.prefix, id), 'x', number(ctx.now))
  elseif pending and pending.expires <= ctx.now and b.in_force == 0 then
    redis.call('ZREM', ctx.prefix .. 'broadcasts-due', id) -- frozen all the while: nothing is left to be said
    return false
  end
  ctx.broadcasts[id] = true
  return true
end

-- ARGV: now. Scheduled ones whose time has come are published, unless frozen; those past their expiry end.
-- Answers how many changed.
function Broadcasts.sweep(keys, args)
  local ctx = { prefix = keys[1], now = tonumber(args[1]), broadcasts = {} }
  local count = 0
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', keys[1] .. 'broadcasts-due', '-inf', args[1], 'LIMIT', 0,
    SWEPT_PER_CALL)) do
    count = count + (sweep_one(ctx, id) and 1 or 0)
  end
  Broadcasts.settle_all(ctx)
  return { history(), count }
end

-- --- asked ---

-- ARGV: broadcast. Answers JSON and the newest version's bytes, or null.
function Broadcasts.get(keys, args)
  local b = Broadcasts.read(keys[1], args[1])
  if b.newest == 0 then
    return { history(), 'null', '' }
  end
  local row, rows, replies, counted = row_of(b, state_of(b)), {}, 0, {}
  for item in pairs(b.items) do
    local it = Outbox.read(keys[1], item)
    if it.head then
      rows[#rows + 1] = Outbox.row(item, it)
      local d = b.drafts[rows[#rows].version]
      rows[#rows].has_welsh = d and d.has_welsh
      replies = replies + Outbox.replies_of(keys[1], it, counted)
    end
  end
  table.sort(rows, function(x, y)
    return x.place < y.place or x.place == y.place and (x.version < y.version or x.version == y.version and x.item < y.item)
  end)
  row.rows, row.replies = #rows > 0 and rows or nil, replies
  return { history(), cjson.encode(row), b.drafts[b.newest].bytes }
end

-- ARGV: state or "", limit. Newest first.
function Broadcasts.list(keys, args)
  local rows, limit = {}, tonumber(args[2])
  for _, id in ipairs(redis.call('ZREVRANGE', keys[1] .. 'broadcasts', 0, -1)) do
    local state, row = unpack(redis.call('HMGET', broadcast_key(keys[1], id), 'state', 'row'))
    if not row then
      redis.call('ZREM', keys[1] .. 'broadcasts', id)
    elseif (args[1] == '' or args[1] == state) and #rows < limit then
      rows[#rows + 1] = row
    end
    if #rows >= limit then
      break
    end
  end
  return { history(), '[' .. table.concat(rows, ',') .. ']' }
end

-- ARGV: broadcast. Answers newest version (0: none), state, then when each version was written; 0: it never went out
-- and never will, as nobody approves what is not the newest.
function Broadcasts.versions(keys, args)
  local b, answer = Broadcasts.read(keys[1], args[1]), { history() }
  answer[2], answer[3] = b.newest, b.newest > 0 and state_of(b) or ''
  for version = 1, b.newest do
    local is_for_public = b.approved[version] or b.published[version]
    answer[#answer + 1] = number(is_for_public and b.drafts[version] and b.drafts[version].written or 0)
  end
  return answer
end

-- Of this Redis and this history alone: what was told under another may be lost here.
local function epoch(prefix, live)
  local salt = redis.call('HGET', prefix .. 'news', 'salt')
  if not salt then
    local now = redis.call('TIME')
    salt = now[1] .. '.' .. now[2]
    redis.call('HSET', prefix .. 'news', 'salt', salt)
  end
  return string.sub(redis.sha1hex(live .. salt), 1, 32)
end

function Broadcasts.sequence(keys)
  local live = history()
  return { live, epoch(keys[1], live), redis.call('HGET', keys[1] .. 'news', 'sequence') or '0' }
end

-- ARGV: milliseconds that what is over is kept. Answers epoch, sequence, then a serialised desg.v1.BroadcastNews each.
function Broadcasts.news(keys, args)
  local answer, public = Broadcasts.sequence(keys), keys[1] .. 'broadcasts-public'
  local ids = redis.call('ZRANGEBYSCORE', public, 0, 0)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', public, math.max(clock_ms() - tonumber(args[1]), 1), '+inf')) do
    ids[#ids + 1] = id
  end
  for _, id in ipairs(ids) do
    local b = Broadcasts.read(keys[1], id)
    if b.in_force > 0 and b.fields.sequence then
      local state = state_of(b)
      answer[#answer + 1] = field(10, from_hex(answer[2])) .. '\16' .. varint(tonumber(b.fields.sequence))
        .. field(26, b.drafts[b.in_force].bytes) .. '\32' .. string.char(STATES[state]) .. '\40'
        .. varint(changed_at(b, state))
    elseif b.newest == 0 then
      redis.call('ZREM', public, id)
    end
  end
  return answer
end

-- Broadcasts read by the public in English alone, by when the Welsh is due.
function Outbox.welsh_owed(prefix, limit)
  local rows = {}
  local flat = limit > 0 and redis.call('ZRANGE', prefix .. 'welsh-owed', 0, limit - 1, 'WITHSCORES') or {}
  for i = 1, #flat, 2 do
    rows[#rows + 1] = { kind = 'welsh-owed', state = 'owed', broadcast = flat[i], due_at_ms = tonumber(flat[i + 1]),
      at_ms = tonumber(flat[i + 1]) }
  end
  return rows
end

Broadcasts.state_of = state_of
end)()
