-- Count entries.
--
-- KEYS[1]  a stream
-- ARGV[1]  from which id on
-- ARGV[2]  how many are looked at, at most
-- ARGV[3]  bytes of them after which it is enough: nobody else is served meanwhile
-- ARGV[4]  of dead letters: those of which stream; otherwise ''
--
-- Returns {how many there are, the id of the last one that was looked at, or nothing}.

local from, left, enough = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local count, last, bytes, some = 0, false, 0, 1 -- few first: each is read as a whole
while left > 0 and bytes < enough do
  local page = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', math.min(some, left))
  if #page == 0 then break end
  for _, entry in ipairs(page) do
    local fields = entry[2]
    if ARGV[4] == '' or (fields[#fields - 7] == 'pullahead-stream' and fields[#fields - 6] == ARGV[4]) then
      count = count + 1
    end
    for _, part in ipairs(fields) do bytes = bytes + #part end
  end
  last = page[#page][1]
  from, left, some = '(' .. last, left - #page, math.min(2 * some, 100)
end
return {count, last}
