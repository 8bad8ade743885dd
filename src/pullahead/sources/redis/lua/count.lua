-- Count entries.
--
-- KEYS[1]  a stream
-- ARGV[1]  from which id on
-- ARGV[2]  how many are looked at, at most
-- ARGV[3]  of dead letters: those of which stream; otherwise ''
--
-- Returns {how many there are, the id of the last one that was looked at, or nothing}.

local count, last = 0, false
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])) do
  local fields = entry[2]
  last = entry[1]
  if ARGV[3] == '' or (fields[#fields - 7] == 'pullahead-stream' and fields[#fields - 6] == ARGV[3]) then
    count = count + 1
  end
end
return {count, last}
