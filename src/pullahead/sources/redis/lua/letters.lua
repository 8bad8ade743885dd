-- List dead letters of a stream, the latest first.
--
-- KEYS[1]  the stream of the dead letters
-- ARGV[1]  of which stream
-- ARGV[2]  from which id down
-- ARGV[3]  how many are looked at, at most
--
-- Returns {letters, last}: each letter as {id, {field, value, ...}}; the id of the last one that was looked at, or
-- nothing.

local found, last = {}, false
for _, letter in ipairs(redis.call('XREVRANGE', KEYS[1], ARGV[2], '-', 'COUNT', ARGV[3])) do
  local fields = letter[2]
  last = letter[1]
  if fields[#fields - 7] == 'pullahead-stream' and fields[#fields - 6] == ARGV[1] then
    found[#found + 1] = letter
  end
end
return {found, last}
