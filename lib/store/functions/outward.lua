-- What people decide of what goes out, live and from desk's journals, and what notify's journals say of it. A fact
-- about no conversation leaves its record in fact:<id>: time and serialised desg.v1.Fact.
local Outward = {}
;(function() -- a main chunk has room for 200 names

local FACT_ARGS = 10
local NOTE_ARGS = 7
local FACT_KEEP_S = 40 * 86400
local SETTLED_KEPT = 10000
local MESSAGE, POSTBACK = '\1', '\5' -- of EventKind
local KIND_AT = 20 -- an event's bytes begin with its id and its kind
local AS_THERE = 1

-- of: replied: conversation; settled: item; frozen: nothing; the rest: broadcast.
local function read_outward(args, at)
  return { id = args[at], kind = args[at + 1], at = tonumber(args[at + 2]), agent = args[at + 3],
    subject = args[at + 4], words = args[at + 5], text = args[at + 6], list = args[at + 7], bytes = args[at + 8],
    fact = args[at + 9] }
end

local function remember(ctx, f)
  redis.call('SET', ctx.prefix .. 'fact:' .. f.id, string.format('%.0f\n', f.at) .. f.fact, 'EX', FACT_KEEP_S)
end

local function apply_reply(ctx, f)
  local key, c = ctx.prefix .. 'conv:' .. f.subject, read_work(ctx.prefix, f.subject) or new_work()
  if redis.call('HEXISTS', key, 'f:' .. f.id) == 1 or c.archived_n and has_tombstone(ctx.prefix, f.id) then
    return
  end
  Outbox.put(ctx, { id = f.id, place = f.text, bytes = f.bytes,
    head = table.concat({ 'reply', f.subject, '0 0', string.format('%.0f', f.at) }, ' ') }, ctx.is_replayed)
  f.conversation, f.covered = f.subject, ''
  bring_in(ctx, c, f)
  redis.call('HSET', key, 'f:' .. f.id,
    fact_record({ kind = f.kind, at = f.at, agent = f.agent, covered = '', bytes = f.fact }))
end

-- For notify, which may own the item's place anywhere: a serialised desg.v1.SendSettled.
local function apply_settled(ctx, f)
  Outbox.note(ctx, { id = f.subject, kind = 'settled', at = f.at, words = f.words, text = f.agent }, '')
  local function text(tag, bytes)
    return string.char(tag) .. varint(#bytes) .. bytes
  end
  redis.call('XADD', ctx.prefix .. 'settled', 'MAXLEN', '~', SETTLED_KEPT, '*', 'settled', text(10, from_hex(f.subject))
    .. '\16' .. string.char(tonumber(f.words)) .. text(26, f.agent) .. '\32' .. varint(f.at))
end

-- Effects first, the fact's own record last.
local function apply_outward(ctx, f)
  if f.kind == 'replied' then
    return apply_reply(ctx, f)
  end
  if redis.call('EXISTS', ctx.prefix .. 'fact:' .. f.id) == 1 then
    return
  end
  if f.kind == 'settled' then
    apply_settled(ctx, f)
  elseif f.kind == 'frozen' then
    Broadcasts.note_freeze(ctx, f)
  else
    Broadcasts.note(ctx, f)
  end
  remember(ctx, f)
end

-- Calls apply for each; one that fails does not touch its neighbours. Answers as desg_facts.
local function each_apart(ctx, args, step, what, apply)
  local fault, whose, count = nil, nil, 0
  for at = 2, #args, step do
    local is_done, why = pcall(apply, at)
    if not is_done then
      count = count + 1
      fault, whose = fault or why, whose or what .. args[at]
    end
  end
  local why, broadcast = Broadcasts.settle_each(ctx)
  if why then
    count = count + 1
    fault, whose = fault or why, whose or broadcast
  end
  return { history(), fault and fault_text(fault) or '', whose or '', count }
end

-- ARGV: now, then ten per fact: fact, kind, at, agent, what it is of, words, text, list, bytes, serialised fact.
function Outward.facts(keys, args)
  local ctx = { prefix = keys[1], now = tonumber(args[1]), broadcasts = {}, unsettled = {}, is_replayed = true }
  return each_apart(ctx, args, FACT_ARGS, 'fact ', function(at)
    apply_outward(ctx, read_outward(args, at))
  end)
end

-- ARGV: name of who says so, then seven per fact: item, kind, at, words, text, object id, bytes.
function Outward.notes(keys, args)
  local ctx = { prefix = keys[1], now = clock_ms(), broadcasts = {}, is_replayed = true }
  return each_apart(ctx, args, NOTE_ARGS, 'item ', function(at)
    Outbox.note(ctx, { id = args[at], kind = args[at + 1], at = tonumber(args[at + 2]), words = args[at + 3],
      text = args[at + 4], object = args[at + 5], bytes = args[at + 6] }, args[1])
  end)
end

-- --- live ---

-- The newest thing the person wrote privately.
local function newest_message(key)
  local found = {}
  each_work(key, false, function(e, _, field)
    found[#found + 1] = { moment(e), 'e' .. string.sub(field, 2) }
  end)
  table.sort(found, function(a, b) return a[1] > b[1] or a[1] == b[1] and a[2] > b[2] end)
  for _, wanted in ipairs({ MESSAGE, POSTBACK }) do
    for _, pair in ipairs(found) do
      local bytes = redis.call('HGET', key, pair[2])
      if bytes and string.sub(bytes, KIND_AT, KIND_AT) == wanted then
        return bytes
      end
    end
  end
  return nil
end

-- ARGV: conversation, event to be answered or "". Answers the event's bytes, the conversation's severity, the newest
-- event in it; or refused and why.
function Outward.answerable(keys, args)
  local key, c = keys[1] .. 'conv:' .. args[1], read_work(keys[1], args[1])
  if not c or c.state == 'archived' then
    return { history(), 'refused', 'there is no such conversation' }
  end
  local bytes = args[2] ~= '' and redis.call('HGET', key, 'e:' .. args[2]) or args[2] == '' and newest_message(key)
  if not bytes then
    return { history(), 'refused', args[2] ~= '' and 'the event named is not in this conversation'
      or 'no private message in it can be answered: answer in public, or another way' }
  end
  return { history(), 'ok', bytes, c.severity or 0, c.last_event or '' }
end

local function unrepliable(ctx, f, live)
  local c = read_work(ctx.prefix, f.subject)
  local problem = stale(c, f.agent, live.fence)
  if problem then
    return problem
  end
  if live.last_event ~= '' then
    return unseen(ctx.prefix, f.subject, c, live.last_event)
  end
  -- Who names no last event has seen what was there at the claim, and what is answered.
  if c.seen_tick and c.tick > c.seen_tick and c.last_event ~= live.answered then
    return 'something newer came: event ' .. c.last_event
  end
  return nil
end

local function ended(b)
  local state = Broadcasts.state_of(b)
  return (state == 'cancelled' or state == 'expired') and 'it is ' .. state .. ': draft a new broadcast' or nil
end

local function undraftable(_, f, _, b)
  local version = tonumber(string.match(f.words, '^%d+'))
  if b.newest > 0 and ended(b) then
    return ended(b)
  elseif b.newest == 0 and version > 1 then
    return 'there is no such broadcast'
  end
  return b.newest + 1 ~= version and 'again' or nil
end

local function unapprovable(_, f, live, b)
  local version = tonumber(f.words)
  local d = b.drafts[version]
  if not d then
    return 'there is no version ' .. version .. ' of it'
  elseif ended(b) then
    return ended(b)
  elseif version < b.newest then
    return 'version ' .. b.newest .. ' is newer: look at that one'
  elseif b.approved[version] then
    return 'version ' .. version .. ' is approved already, by ' .. b.approved[version].agent
  elseif live.needs_second and d.author == f.agent then
    return 'the author of a version cannot approve it: somebody else has to'
  end
  return nil
end

local function unpublishable(ctx, f, _, b)
  local version = tonumber(f.words)
  local d = b.drafts[version]
  if not d then
    return 'there is no version ' .. version .. ' of it'
  elseif ended(b) then
    return ended(b)
  elseif version <= math.max(b.in_force, b.pending) then
    return b.published[version] and 'version ' .. version .. ' is published already'
      or 'version ' .. math.max(b.in_force, b.pending) .. ' is published: draft another to change it'
  elseif not b.approved[version] then
    return 'version ' .. version .. ' is not approved: have it approved first'
  elseif d.expires <= ctx.now then
    return 'its expiry has passed: draft a version with a later one'
  end
  return nil
end

local function uncancellable(_, _, _, b)
  local state = Broadcasts.state_of(b)
  return (state == 'cancelled' or state == 'expired') and 'it is ' .. state .. ' already' or nil
end

local function unfreezable(ctx, f)
  local ends_at = tonumber(f.words)
  if ends_at == 0 then
    local stood = tonumber(redis.call('HGET', ctx.prefix .. 'freeze', 'until') or '0')
    return stood <= ctx.now and 'nothing is frozen' or nil
  end
  return ends_at <= ctx.now and 'the time it is to end has passed' or nil
end

-- What a person says comes after all that is known of the item, whatever the clocks say.
local function unsettleable(ctx, f)
  local it = Outbox.read(ctx.prefix, f.subject)
  if not it.head then
    return 'there is no such item'
  end
  local is_refused = it.state == 'refused' or it.state == 'blocked'
  if it.state ~= 'unknown' and not is_refused then
    return 'it is ' .. it.state .. ': there is nothing to be settled'
  elseif is_refused and tonumber(f.words) == AS_THERE then
    return 'it is ' .. it.state .. ': it is not there; send it again, or say that it was done by hand'
  end
  f.at = math.max(f.at, Outbox.newest_at(it) + 1)
  return nil
end

local PROBLEM = { replied = unrepliable, drafted = undraftable, approved = unapprovable, published = unpublishable,
  cancelled = uncancellable, frozen = unfreezable, settled = unsettleable }
local IS_OF_BROADCAST = { drafted = true, approved = true, published = true, cancelled = true }

local function known_fact(prefix, f)
  if f.kind == 'replied' then
    local record = redis.call('HGET', prefix .. 'conv:' .. f.subject, 'f:' .. f.id)
    local was = record and read_fact_record(record)
    return was and was.at, was and was.bytes
  end
  local at, bytes = string.match(redis.call('GET', prefix .. 'fact:' .. f.id) or '', '^(%d+)\n(.*)$')
  return at and tonumber(at), bytes
end

-- ARGV: now, 1 if a second person has to approve, fence, last event seen or "", event answered, then one fact as
-- desg_outward_facts has it. Answers ok or repeat with the fact's time and the serialised fact as it was given
-- first; or refused and why (again: another version was drafted meanwhile).
function Outward.decide(keys, args)
  local ctx = { prefix = keys[1], now = tonumber(args[1]), broadcasts = {}, unsettled = {} }
  local live, f = { needs_second = args[2] == '1', fence = args[3], last_event = args[4], answered = args[5] },
    read_outward(args, 6)
  sweep(ctx.prefix)
  local at, bytes = known_fact(ctx.prefix, f)
  if at then
    return { history(), 'repeat', string.format('%.0f', at), bytes }
  end
  local b = IS_OF_BROADCAST[f.kind] and Broadcasts.read(ctx.prefix, f.subject) or nil
  local problem
  if b and b.newest == 0 and f.kind ~= 'drafted' then
    problem = 'there is no such broadcast'
  else
    problem = PROBLEM[f.kind](ctx, f, live, b)
  end
  if problem then
    return { history(), 'refused', problem }
  end
  apply_outward(ctx, f)
  Broadcasts.settle_all(ctx)
  return { history(), 'ok', string.format('%.0f', f.at), f.fact }
end

-- ARGV: cursor, at most. Answers the cursor, then serialised desg.v1.SendSettled.
function Outward.settled(keys, args)
  local answer = { history(), args[1] }
  local from = args[1] == '0' and '-' or '(' .. args[1]
  for _, entry in ipairs(redis.call('XRANGE', keys[1] .. 'settled', from, '+', 'COUNT', args[2])) do
    answer[2], answer[#answer + 1] = entry[1], entry[2][2]
  end
  return answer
end
end)()
