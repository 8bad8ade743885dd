-- Add items to a stream: all of them, or none.
--
-- KEYS[1]  the stream
-- ARGV[1]  the field that holds an item
-- ARGV[2]… items
--
-- Returns the ids of their entries.

local ids = {}
for place = 2, #ARGV do
  ids[place - 1] = redis.call('XADD', KEYS[1], '*', ARGV[1], ARGV[place])
end
return ids
