-- Say what a consumer has, as the server knows it.
--
-- KEYS[1]  the stream
-- ARGV[1]  the group
-- ARGV[2]  the consumer
-- ARGV[3]  from which id on
-- ARGV[4]  how many at most
--
-- Returns ids, the oldest first.

local ids = {}
for place, held in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], '+', ARGV[4], ARGV[2])) do
  ids[place] = held[1]
end
return ids
