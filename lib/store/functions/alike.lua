-- What waits in conversations, for the desk to see which are near-copies of one event.
local Alike = {}
;(function()

local FEW = 4 -- of a conversation in which more waits nothing is told
local EVENTS_LOOKED_THROUGH = 16

local function add(list, event, e)
  local at = #list
  list[at + 1], list[at + 2], list[at + 3] = event, moment(e), e.verdict
end

local function waiting(prefix, id)
  local c, list = read_work(prefix, id), {}
  if not c or c.n > EVENTS_LOOKED_THROUGH then
    return list
  end
  local key = prefix .. 'conv:' .. id
  if c.n == 1 and not c.has_facts and c.closed_n == 0 and c.last_event then -- mostly
    local record = redis.call('HGET', key, 'v:' .. c.last_event)
    if record then
      add(list, c.last_event, read_record(record))
      return list
    end
  end
  each_work(key, c.has_facts, function(e, d, field, value)
    if not is_covered(c, e, d) then
      add(list, string.sub(field, 3), read_record(value))
    end
  end)
  return #list <= 3 * FEW and list or {}
end

-- ARGV: conversations. Answers history and a list for each: event, moment, verdict, and so on.
function Alike.waiting(keys, args)
  local answer = { history() }
  for i, id in ipairs(args) do
    answer[i + 1] = waiting(keys[1], id)
  end
  return answer
end

end)()
