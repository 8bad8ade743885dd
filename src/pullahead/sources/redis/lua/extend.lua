-- Move deadlines on, of those entries that are still this one's.
--
-- KEYS[1]  the stream
-- ARGV[1]  the group
-- ARGV[2]  whose they are
-- ARGV[3]  ms that an entry is idle when its deadline has passed
-- ARGV[4]  ms of them that a lease lasts from now
-- ARGV[5]… ids
--
-- Returns the ids of those that were trimmed away: the server has forgotten who has them.

local stream, group, me = KEYS[1], ARGV[1], ARGV[2]
local begin = tonumber(ARGV[3]) - tonumber(ARGV[4])
local gone = {}
for place = 5, #ARGV do
  local id = ARGV[place]
  local pending = redis.call('XPENDING', stream, group, id, id, 1)
  if pending[1] and pending[1][2] == me then
    local got = redis.call('XCLAIM', stream, group, me, 0, id, 'IDLE', begin, 'JUSTID')
    if not got[1] then gone[#gone + 1] = id end
  end
end
return gone
