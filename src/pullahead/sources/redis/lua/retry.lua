-- Move dead letters back into their stream, as the entries that they were. Those of other streams stay, those of which
-- nothing is left but why they are here, and those that are too wide for a script.
--
-- KEYS[1]  the stream of the dead letters
-- KEYS[2]  the stream; in a cluster in the same slot
-- ARGV[1]  from which id on
-- ARGV[2]  up to which
-- ARGV[3]  how many are looked at, at most
-- ARGV[4]  bytes of them after which it is enough: nobody else is served meanwhile
-- ARGV[5]  names and values that an entry has at most
--
-- Returns {how many were moved, the id of the last one that was looked at, or nothing}.

local letters, stream = KEYS[1], KEYS[2]
local from, left, enough, widest = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local moved, last, bytes, some = 0, false, 0, 1 -- few first: each is read as a whole
while left > 0 and bytes < enough do
  local page = redis.call('XRANGE', letters, from, ARGV[2], 'COUNT', math.min(some, left))
  if #page == 0 then break end
  for _, letter in ipairs(page) do
    local fields = letter[2]
    local own = #fields - 8 -- the rest is what we have added: names and values of four fields
    if own > 0 and own <= widest and fields[own + 1] == 'pullahead-stream' and fields[own + 2] == stream then
      redis.call('XADD', stream, '*', unpack(fields, 1, own))
      redis.call('XDEL', letters, letter[1])
      moved = moved + 1
    end
    for _, part in ipairs(fields) do bytes = bytes + #part end
  end
  last = page[#page][1]
  from, left, some = '(' .. last, left - #page, math.min(2 * some, 100)
end
return {moved, last}
