-- Say which entries the server knows nothing of any more: nobody has them, and they are not in the stream.
--
-- KEYS[1]  the stream
-- ARGV[1]  the group
-- ARGV[2]… ids
--
-- Returns their ids.

local lost = {}
for place = 2, #ARGV do
  local id = ARGV[place]
  if not redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1] and not redis.call('XRANGE', KEYS[1], id, id)[1] then
    lost[#lost + 1] = id
  end
end
return lost
