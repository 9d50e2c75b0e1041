-- In which language a person wants to be written to: what they said themselves (a fact, like a close: the latest
-- counts, in whatever order they come), and what to go by where a message is too short to tell. The field "wish" of a
-- conversation's state holds the latest: language (none: taken back), when, by which fact.
local Wish = {}
;(function()

local NUMBERS = { en = 1, cy = 2, mixed = 3, both = 3 } -- as desg.v1.Language has them

function Wish.take(c, f)
  local at, by = string.match(c.wish or '', '^%l+ (%d+) (%S+)$')
  if not at or is_later(f.at, f.id, tonumber(at), by) then
    c.wish = table.concat({ f.covered, ' ', string.format('%.0f', f.at), ' ', f.id })
  end
end

-- en, cy, both; nil: nothing was said.
function Wish.of(c)
  local word = c.wish and string.match(c.wish, '^%l+')
  return word ~= 'none' and word or nil
end

-- The number of the language in which event e is acknowledged; nil: its own, whatever that is.
function Wish.number(c, e)
  local is_unsure = e.language == 'unsure' or e.language == '-'
  return NUMBERS[Wish.of(c) or is_unsure and c.language or '']
end

end)()
