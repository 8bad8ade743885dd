-- List dead letters of a stream, the latest first.
--
-- KEYS[1]  the stream of the dead letters
-- ARGV[1]  of which stream
-- ARGV[2]  from which id down
-- ARGV[3]  how many are listed, at most
-- ARGV[4]  how many are looked at, at most
-- ARGV[5]  bytes of them after which it is enough: nobody else is served meanwhile
--
-- Returns {letters, last}: each letter as {id, {field, value, ...}}; the id of the last one that was looked at, or
-- nothing.

local from, most, left, enough = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local found, last, bytes, some = {}, false, 0, 1 -- few first: each is read as a whole
while #found < most and left > 0 and bytes < enough do
  local page = redis.call('XREVRANGE', KEYS[1], from, '-', 'COUNT', math.min(some, left, most - #found))
  if #page == 0 then break end
  for _, letter in ipairs(page) do
    local fields = letter[2]
    if fields[#fields - 7] == 'pullahead-stream' and fields[#fields - 6] == ARGV[1] then
      found[#found + 1] = letter
    end
    for _, part in ipairs(fields) do bytes = bytes + #part end
  end
  last = page[#page][1]
  from, left, some = '(' .. last, left - #page, math.min(2 * some, 100)
end
return {found, last}
