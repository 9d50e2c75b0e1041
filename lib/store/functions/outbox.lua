-- The outbox: items waiting at their places and what became of each. An item is a fold over what notify's
-- journals, people and the platforms say of it, in any order and any number of times. item:<id> holds:
--   head      kind, conversation or broadcast, version, action, decided at
--   place, owner (who last spoke of it), parts (the most ever named)
--   stream    its entry, or - once that was removed; bytes, serialised; returned: the word that brought it back
--   again     when it was put there from a journal: what others know of it may not be here yet
--   accepted  1: a journal of notify has it; lost: 1 if it came from desk's journal alone, and so late that notify's may
--             have forgotten it, or into an emptied Redis, to which the journal that has it may never come back: a
--             person says whether it went out
--   i<part>   newest intent: at, fence of the owner
--   r<part>   newest result other than sent: at, outcome, http status, code, again at; object id; error
--   s<part>   newest result that says sent: at, object id
--   h<part>   hash of the body; e<part>: its own mark, come back through the platform: object id
--   l         newest result that says that it was the last; t: newest word of a person: at, as, agent
--   o         the most that the platform said became of it; failed: newest time at which it said failed
--   state, over, since: what follows
local Outbox = {}
;(function() -- a main chunk has room for 200 names

local KEEP_S = 40 * 86400
local KEEP_OVER_S = { reply = 8 * 86400, receipt = 3 * 86400 } -- they hold what was said
local OUTCOMES = { 'sent', 'later', 'unknown', 'refused', 'blocked' }
local THERE, AGAIN, BY_HAND = 1, 2, 3
local STATE_OF_PARTS = { 'unknown', 'refused', 'blocked', 'sending', 'later' } -- the first that any part is in
local FATE_ORDER = { sent = 1, delivered = 2, read = 3 }
local ACTIONS = { 'post', 'update', 'cancel', 'end' }
local RECEIPT_LATEST_MS = 10 * 60 * 1000
local OBJECT_ID_MAX = 256
local PARTS_MAX = 100
local LOST_AFTER_MS = 24 * 3600 * 1000 -- notify's journal is kept for longer
local FOUND_WITHIN_MS = 10 * 60 * 1000 -- who sends takes what is decided within moments, and keeps it for longer
local BORN_MARGIN_MS = 60000 -- desk's clock and Redis's differ by less

local function item_key(prefix, id)
  return prefix .. 'item:' .. id
end

function Outbox.read(prefix, id)
  local flat, it = redis.call('HGETALL', item_key(prefix, id)), {}
  for i = 1, #flat, 2 do
    it[flat[i]] = flat[i + 1]
  end
  return it
end

-- The time a field of an item begins with.
local function stamp(text)
  return text and tonumber(string.match(text, '^%d+')) or -1
end

local function newest(old, new)
  local a, b = stamp(old), stamp(new)
  return (b > a or b == a and new > old) and new or old
end

-- Only what can be printed: it goes into JSON.
local function plain(text, most)
  return (string.gsub(string.sub(text, 1, most), '[^\32-\126]', '?'))
end

function Outbox.head(it)
  local kind, subject, version, action, at = string.match(it.head or '', '^(%S+) (%S+) (%d+) (%d+) (%d+)$')
  return { kind = kind, subject = subject, version = tonumber(version), action = tonumber(action), at = tonumber(at) }
end

local function word_of_person(it)
  local at, as, agent = string.match(it.t or '', '^(%d+) (%d) (.*)$')
  return at and { at = tonumber(at), as = tonumber(as), agent = agent } or { at = -1, as = 0 }
end

local function failed_since(it, word)
  return it.failed and stamp(it.failed) > (word.as ~= 0 and word.at or -1)
end

-- One part: free (it may be sent), sent, there (a person's word), or as the newest word of notify has it; since
-- when, and the result that says so.
function Outbox.part(it, part, word)
  local sent, begun, told = stamp(it['s' .. part]), stamp(it['i' .. part]), stamp(it['r' .. part])
  word = word or word_of_person(it)
  if sent >= 0 and not (word.as == AGAIN and it.failed and stamp(it.failed) <= word.at and sent <= word.at) then
    return 'sent', sent
  end
  if word.as == AGAIN and word.at >= begun and word.at >= told then
    return 'free', word.at
  end
  if word.as == THERE and word.at >= begun and word.at >= told and (begun >= 0 or told >= 0) then
    return 'there', word.at
  end
  if begun > told then
    return 'sending', begun
  end
  if told < 0 then
    return 'free', -1
  end
  return OUTCOMES[tonumber(string.match(it['r' .. part], '^%d+ (%d)'))] or 'unknown', told, it['r' .. part]
end

-- The newest time known of the item: what comes next is dated after it, whatever the clocks say.
function Outbox.newest_at(it)
  local at = math.max(stamp(it.t), stamp(it.l))
  for part = 0, tonumber(it.parts or 1) - 1 do
    at = math.max(at, stamp(it['i' .. part]), stamp(it['r' .. part]), stamp(it['s' .. part]))
  end
  return at
end

local function is_lost(it, word)
  return it.lost and not it.accepted and word.as ~= AGAIN
end

-- state, since when, whether nothing more will be done, parts sent, and the result that says so.
local function judge(it)
  local word, found, sent, by_word = word_of_person(it), {}, 0, false
  local parts, since = tonumber(it.parts or 0), -1
  for part = 0, math.max(parts, 1) - 1 do
    local state, at, told = Outbox.part(it, part, word)
    if state == 'sent' or state == 'there' then
      sent, by_word, since = sent + 1, by_word or state == 'there', math.max(since, at)
    elseif not found[state] or at < found[state].at then
      found[state] = { at = at, told = told }
    end
  end
  if failed_since(it, word) then
    return 'refused', stamp(it.failed), true, sent
  end
  local is_over = it.l and stamp(it.l) > (word.as == AGAIN and word.at or -1) or false
  if sent > 0 and sent >= parts and (parts > 0 or is_over) then
    return by_word and 'settled' or 'sent', since, true, sent
  end
  local is_by_hand = word.as == BY_HAND or word.as == THERE and is_lost(it, word)
  if is_by_hand and word.at >= Outbox.newest_at(it) then
    return 'settled', word.at, true, sent
  end
  for _, state in ipairs(STATE_OF_PARTS) do
    if found[state] then
      return state, found[state].at, is_over and state ~= 'unknown', sent, found[state].told
    end
  end
  return is_lost(it, word) and 'unknown' or 'queued', math.max(since, word.at, Outbox.head(it).at or 0), is_over, sent
end

-- Whether a person has to see to it. Nobody misses a receipt, nor what a later version said instead.
local function is_task(prefix, it, state)
  local head = Outbox.head(it)
  if state ~= 'refused' and state ~= 'blocked' or head.kind == 'receipt' or not head.kind then
    return false
  end
  return head.kind ~= 'broadcast' or not Outbox.is_overtaken(prefix, head)
end

local function list(prefix, name, id, since, is_in)
  if is_in then
    redis.call('ZADD', prefix .. name, math.max(since, 0), id)
  else
    redis.call('ZREM', prefix .. name, id)
  end
end

local function enter(prefix, id, it)
  it.stream = redis.call('XADD', prefix .. 'outbox:' .. it.place, '*', 'id', id, 'item', it.bytes, 'again',
    it.again and '1' or '0')
  redis.call('SADD', prefix .. 'places', it.place)
  redis.call('HSET', item_key(prefix, id), 'stream', it.stream)
end

local function withdraw(prefix, id, it)
  redis.call('XDEL', prefix .. 'outbox:' .. it.place, it.stream)
  it.stream = '-'
  redis.call('HSET', item_key(prefix, id), 'stream', '-')
end

-- An item that is to be sent waits at its place; once it has left, only a person's word brings it back.
local function bring_to_place(prefix, id, it, is_over)
  if is_over and it.stream and it.stream ~= '-' then
    withdraw(prefix, id, it)
  elseif not is_over and it.bytes and not it.stream and not is_lost(it, word_of_person(it)) then
    enter(prefix, id, it)
  elseif not is_over and it.bytes and it.stream == '-' and word_of_person(it).as == AGAIN and it.returned ~= it.t then
    enter(prefix, id, it)
    redis.call('HSET', item_key(prefix, id), 'returned', it.t)
  end
end

-- What follows from an item as it stands now; to be called after every change. Writes into it, too.
function Outbox.settle(ctx, id, it)
  local prefix, key, before = ctx.prefix, item_key(ctx.prefix, id), it.state
  local state, since, is_over = judge(it)
  local head = Outbox.head(it)
  list(prefix, 'items-unknown', id, since, state == 'unknown')
  list(prefix, 'items-task', id, since, is_task(prefix, it, state))
  bring_to_place(prefix, id, it, is_over)
  it.state, it.over = state, is_over and '1' or '0'
  redis.call('HSET', key, 'state', state, 'over', it.over, 'since', string.format('%.0f', math.max(since, 0)))
  redis.call('EXPIRE', key, is_over and state ~= 'refused' and KEEP_OVER_S[head.kind] or KEEP_S)
  if state ~= before and head.kind == 'broadcast' and ctx.broadcasts then
    ctx.broadcasts[head.subject] = true
  end
end

-- Facts in any order may make a post first of what turns out to be an update, or take back an older version than
-- the one that is to be read.
local function more_exact(old, new)
  local version, action = string.match(old, '^broadcast %x+ (%d+) (%d)')
  local new_version, new_action = string.match(new, '^broadcast %x+ (%d+) (%d)')
  if not action or not new_action then
    return old
  end
  local higher = tonumber(new_version) - tonumber(version)
  return (higher > 0 or higher == 0 and tonumber(new_action) > tonumber(action)) and new or old
end

-- Since when this Redis has been told things: whoever owns a place says so, or a journal.
function Outbox.born_at(prefix)
  redis.call('SET', prefix .. 'born', string.format('%.0f', clock_ms()), 'NX')
  return tonumber(redis.call('GET', prefix .. 'born'))
end

-- Others may know more of the item than is here.
function Outbox.doubt(prefix, id, it)
  if not it.again then
    it.again = string.format('%.0f', clock_ms())
    redis.call('HSET', item_key(prefix, id), 'again', it.again)
    redis.call('EXPIRE', item_key(prefix, id), KEEP_S)
  end
end

-- Puts an item at its place, once. given: id, place, head, bytes. is_again: from a journal, so that others may
-- know more of it than is here.
function Outbox.put(ctx, given, is_again)
  local prefix, key = ctx.prefix, item_key(ctx.prefix, given.id)
  local it = Outbox.read(prefix, given.id)
  local head = it.head and more_exact(it.head, given.head) or given.head
  if head == it.head and it.bytes then
    return
  end
  it.head = head
  it.place = given.place
  redis.call('HSET', key, 'place', it.place, 'head', head)
  if head == given.head then
    it.bytes = given.bytes
    redis.call('HSET', key, 'bytes', it.bytes)
  end
  if it.stream and it.stream ~= '-' then -- what waits there is not exact
    withdraw(prefix, given.id, it)
    enter(prefix, given.id, it)
  elseif is_again and not it.stream and not it.lost then
    Outbox.doubt(prefix, given.id, it)
    local at = Outbox.head(it).at
    local born = Outbox.born_at(prefix)
    if clock_ms() - at > LOST_AFTER_MS or at < born + BORN_MARGIN_MS then
      it.lost = '1'
      redis.call('HSET', key, 'lost', '1')
    end
    if it.lost and at > born - FOUND_WITHIN_MS then
      redis.call('ZADD', prefix .. 'items-lost', at, given.id)
    end
  end
  if given.broadcast then
    redis.call('HSET', prefix .. 'broadcast:' .. given.broadcast, 'o:' .. given.id, head)
  end
  Outbox.settle(ctx, given.id, it)
end

-- Nobody who may have sent it is missing.
function Outbox.find(ctx, id)
  local it = Outbox.read(ctx.prefix, id)
  redis.call('ZREM', ctx.prefix .. 'items-lost', id)
  if it.lost then
    it.lost = nil
    redis.call('HDEL', item_key(ctx.prefix, id), 'lost')
    Outbox.settle(ctx, id, it)
  end
end

-- A platform's name for what was posted, so that what comes in about it finds it.
local function tie(prefix, object, id)
  if #object > 0 and #object <= OBJECT_ID_MAX then
    redis.call('SET', prefix .. 'posted:' .. object, id, 'EX', KEEP_S)
  end
end

local function note_newest(it, changes, field, value)
  if newest(it[field], value) ~= it[field] then
    it[field] = value
    changes[#changes + 1], changes[#changes + 2] = field, value
  end
end

local function note_parts(it, changes, parts)
  if parts > tonumber(it.parts or 0) and parts <= PARTS_MAX then
    it.parts = tostring(parts)
    changes[#changes + 1], changes[#changes + 2] = 'parts', it.parts
  end
end

local function note_result(prefix, it, changes, f)
  local part, outcome, http, code, again_at, is_last = string.match(f.words, '^(%d+) (%d) (%d+) (-?%d+) (%d+) (%d)$')
  local at = string.format('%.0f ', f.at)
  f.object = plain(f.object, OBJECT_ID_MAX)
  if OUTCOMES[tonumber(outcome)] == 'sent' then
    note_newest(it, changes, 's' .. part, at .. f.object)
    tie(prefix, f.object, f.id)
  else
    note_newest(it, changes, 'r' .. part, at .. table.concat({ outcome, http, code, again_at }, ' ') .. '\n' .. f.object
      .. '\n' .. plain(f.text, 160))
  end
  if is_last == '1' then
    note_newest(it, changes, 'l', at)
  end
end

-- f: id, kind (accepted, intent, result, settled), at, words, text, object, bytes. name: who says so.
function Outbox.note(ctx, f, name)
  local prefix, key = ctx.prefix, item_key(ctx.prefix, f.id)
  if f.kind == 'accepted' then
    Outbox.put(ctx, { id = f.id, place = f.text, head = f.words, bytes = f.bytes,
      broadcast = string.match(f.words, '^broadcast (%x+)') }, true)
    if string.match(f.words, '^receipt ') then
      Outbox.remember_receipt(prefix, string.match(f.words, '^receipt (%x+)'), f.at, f.id, KEEP_S)
    end
  end
  local it, changes = Outbox.read(prefix, f.id), {}
  if f.kind == 'accepted' then
    it.accepted = '1'
    changes = { 'accepted', '1' }
  elseif f.kind == 'intent' then
    local part, parts, fence = string.match(f.words, '^(%d+) (%d+) (%d+)$')
    note_newest(it, changes, 'i' .. part, string.format('%.0f ', f.at) .. fence)
    note_parts(it, changes, tonumber(parts))
  elseif f.kind == 'result' then
    note_result(prefix, it, changes, f)
  elseif f.kind == 'settled' then
    note_newest(it, changes, 't', string.format('%.0f ', f.at) .. f.words .. ' ' .. plain(f.text, 160))
  end
  if name ~= '' then
    changes[#changes + 1], changes[#changes + 2] = 'owner', name
  end
  if #changes > 0 then
    redis.call('HSET', key, unpack(changes))
  end
  Outbox.settle(ctx, f.id, it)
end

-- Written down as being sent.
function Outbox.begin(ctx, id, it, part, parts, at, fence, hash)
  local changes = { 'h' .. part, hash, 'place', it.place, 'head', it.head }
  note_newest(it, changes, 'i' .. part, string.format('%.0f ', at) .. fence)
  note_parts(it, changes, parts)
  redis.call('HSET', item_key(ctx.prefix, id), unpack(changes))
  Outbox.settle(ctx, id, it)
end

-- What was handed over and is over: its entry goes, and does not come back by a journal.
function Outbox.leave(prefix, place, stream)
  local entry = redis.call('XRANGE', prefix .. 'outbox:' .. place, stream, stream)[1]
  if not entry then
    return 0
  end
  local key = item_key(prefix, entry[2][2])
  if redis.call('HGET', key, 'stream') == stream then
    redis.call('HSET', key, 'stream', '-')
    redis.call('EXPIRE', key, KEEP_S)
  end
  return redis.call('XDEL', prefix .. 'outbox:' .. place, stream)
end

local function objects_of(it)
  local objects = {}
  for part = 0, tonumber(it.parts or 1) - 1 do
    local object = it['s' .. part] and string.match(it['s' .. part], '^%d+ (.+)$')
    objects[#objects + 1] = object
  end
  return objects
end

-- For people and programs: ids, states and times, no text.
function Outbox.row(id, it)
  local state, since, _, sent, told = judge(it)
  local head, word = Outbox.head(it), word_of_person(it)
  local row = { item = id, place = it.place, kind = head.kind, state = state, at_ms = math.max(since, 0),
    decided_at_ms = head.at, parts = tonumber(it.parts or 0), parts_sent = sent, object_ids = objects_of(it),
    owner = it.owner, outcome = it.failed and 'failed' or it.o and string.match(it.o, '%a+') or nil,
    settled_by = word.agent }
  if head.kind == 'broadcast' then
    row.broadcast, row.version, row.action = head.subject, head.version, ACTIONS[head.action]
    row.outlet = string.match(it.place or '', '^outlet:(.*)$')
  else
    row.conversation = head.subject
  end
  if told then
    local http, code, again_at, error_text = string.match(told, '^%d+ %d (%d+) (-?%d+) (%d+)\n[^\n]*\n(.*)$')
    row.error, row.code, row.http_status = error_text, tonumber(code), tonumber(http)
    row.again_at_ms = state == 'later' and tonumber(again_at) or nil
  elseif state == 'refused' then
    row.error = 'the platform says that it failed'
  end
  local begun = -1
  for part = 0, math.max(tonumber(it.parts or 0), 1) - 1 do
    if it['e' .. part] then
      row.echo = row.echo or {}
      row.echo[tostring(part)] = it['e' .. part]
    end
    if stamp(it['i' .. part]) > begun then
      begun = stamp(it['i' .. part])
      row.fence = tonumber(string.match(it['i' .. part], '^%d+ (%d+)')) -- of the owner who began it last
    end
  end
  return row
end

-- --- what comes in about what went out ---

function Outbox.remember_receipt(prefix, conversation, received, id, keep_s)
  local key = prefix .. 'receipt:' .. conversation
  if stamp(redis.call('GET', key) or '') < received then
    redis.call('SET', key, string.format('%.0f ', received) .. id, 'EX', keep_s)
  end
end

-- The word of receipt: once per conversation and so many hours. Its language goes behind its bytes, as field 7 of
-- desg.v1.OutboxItem, where the conversation knows it better than the event.
local function receipt(ctx, e, more, c)
  local id, again_ms, place, bytes_at = string.match(more, '^(%x+) (%d+) (%S+)\n()')
  local last = stamp(redis.call('GET', ctx.prefix .. 'receipt:' .. e.conversation) or '')
  if ctx.now - e.received > RECEIPT_LATEST_MS or last >= 0 and e.received - last < tonumber(again_ms) then
    return
  end
  local language = Wish.number(c, e)
  Outbox.put(ctx, { id = id, place = place,
    bytes = string.sub(more, bytes_at) .. (language and '\56' .. string.char(language) or ''),
    head = table.concat({ 'receipt', e.conversation, '0 0', string.format('%.0f', ctx.now) }, ' ') })
  Outbox.remember_receipt(ctx.prefix, e.conversation, e.received, id, math.max(tonumber(again_ms) / 1000, 86400))
end

-- Public words under a post: counted by the post, known to be ours or not (the post's own record may come later).
local function reply_to_post(ctx, e, target)
  local key = ctx.prefix .. 'replies:' .. target
  redis.call('SADD', key, from_hex(e.id))
  redis.call('EXPIRE', key, KEEP_S)
end

-- An echo of ours, or what the platform says became of it.
local function fate(ctx, e, more)
  local id, part, what, target, object = string.match(more, '^(%S+) (%d+) (%S+)\n([^\n]*)\n(.*)$')
  if id == '-' then
    id = redis.call('GET', ctx.prefix .. 'posted:' .. target)
  end
  if not id or tonumber(part) >= PARTS_MAX then
    return
  end
  local it, changes = Outbox.read(ctx.prefix, id), {}
  object = plain(object, OBJECT_ID_MAX)
  if what == 'failed' then
    note_newest(it, changes, 'failed', string.format('%.0f', e.received))
  elseif (FATE_ORDER[what] or 0) > (FATE_ORDER[it.o or ''] or 0) then
    it.o = what
    changes = { 'o', what }
  end
  if object ~= '' and what ~= 'failed' then
    it['e' .. part] = object
    changes[#changes + 1], changes[#changes + 2] = 'e' .. part, object
    tie(ctx.prefix, object, id)
  end
  if #changes > 0 then
    redis.call('HSET', item_key(ctx.prefix, id), unpack(changes))
    Outbox.settle(ctx, id, it)
  end
end

local WHAT = { R = receipt, T = reply_to_post, O = fate }

-- e.more, as apply.c writes it: a letter, then what belongs to it.
function Outbox.hear(ctx, e, c)
  WHAT[string.sub(e.more, 1, 1)](ctx, e, string.sub(e.more, 2), c)
end

-- --- asked ---

-- ARGV: item. Answers JSON or null.
function Outbox.get(keys, args)
  local it = Outbox.read(keys[1], args[1])
  return { history(), it.head and cjson.encode(Outbox.row(args[1], it)) or 'null' }
end

-- ARGV: unknown or task, limit. Oldest first. Welsh that is owed is a task as well; where there are too many of both, the Welsh
-- has half of the room, rounded up, and the others the rest.
function Outbox.waiting(keys, args)
  local rows, owed, limit = {}, {}, tonumber(args[2])
  local key = keys[1] .. 'items-' .. args[1]
  if args[1] == 'task' then
    owed = Outbox.welsh_owed(keys[1], math.max(math.ceil(limit / 2), limit - redis.call('ZCARD', key)))
  end
  if limit > #owed then
    for _, id in ipairs(redis.call('ZRANGE', key, 0, limit - #owed - 1)) do
      local it = Outbox.read(keys[1], id)
      rows[#rows + 1] = it.head and Outbox.row(id, it) or nil
    end
  end
  for _, row in ipairs(owed) do
    rows[#rows + 1] = row
  end
  return { history(), #rows > 0 and cjson.encode(rows) or '[]' }
end

-- ARGV: item, part. Answers the object id its mark came back with, or nothing.
function Outbox.echo(keys, args)
  return { history(), redis.call('HGET', item_key(keys[1], args[1]), 'e' .. args[2]) or '' }
end

-- ARGV: object ids. Answers the item each belongs to and its broadcast, or nothing.
function Outbox.posted(keys, args)
  local answer = { history() }
  for i, object in ipairs(args) do
    local id = redis.call('GET', keys[1] .. 'posted:' .. object)
    local head = id and Outbox.head(Outbox.read(keys[1], id)) or {}
    answer[i + 1] = head.kind == 'broadcast' and head.subject or ''
  end
  return answer
end

-- What is known of an item as rows of desg_trace.
function Outbox.story(prefix, id, rows)
  local it = Outbox.read(prefix, id)
  local head, word = Outbox.head(it), word_of_person(it)
  local function add(at, what, part)
    rows[#rows + 1] = at >= 0 and { at_ms = at, where = 'outbox', what = what, item = id, place = it.place, part = part,
      conversation = head.kind ~= 'broadcast' and head.subject or nil } or nil
  end
  if not head.kind then
    return
  end
  add(head.at, head.kind .. '_decided')
  for part = 0, math.max(tonumber(it.parts or 0), 1) - 1 do
    local told = it['r' .. part]
    add(stamp(it['i' .. part]), 'begun', part)
    add(stamp(told), told and OUTCOMES[tonumber(string.match(told, '^%d+ (%d)'))] or '', part)
    add(stamp(it['s' .. part]), 'sent', part)
  end
  add(word.at, 'settled')
  add(stamp(it.failed), 'failed')
end

-- How many public words came under what the item posted. counted: posts that were counted before, as what an
-- update edits has the id of what was posted.
function Outbox.replies_of(prefix, it, counted)
  local count = 0
  for _, object in ipairs(objects_of(it)) do
    count = count + (counted[object] and 0 or redis.call('SCARD', prefix .. 'replies:' .. object))
    counted[object] = true
  end
  return count
end

-- The items a conversation's facts speak of, and its last receipt: JSON by item.
function Outbox.of_conversation(prefix, conversation, flat)
  local rows, found = {}, false
  local function add(id)
    local it = id and Outbox.read(prefix, id) or {}
    if it.head then
      rows[id], found = Outbox.row(id, it), true
    end
  end
  for i = 1, #flat, 2 do
    if string.sub(flat[i], 1, 2) == 'f:' and string.sub(flat[i + 1], 1, 8) == 'replied ' then
      add(string.sub(flat[i], 3))
    end
  end
  add(string.match(redis.call('GET', prefix .. 'receipt:' .. conversation) or '', ' (%x+)$'))
  return found and cjson.encode(rows) or '{}'
end

Outbox.ACTIONS, Outbox.AGAIN, Outbox.THERE, Outbox.BY_HAND = ACTIONS, AGAIN, THERE, BY_HAND
end)()
