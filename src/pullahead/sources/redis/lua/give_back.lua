-- Give back entries that were not started, those that are still this one's: at no cost, and at their old place.
--
-- KEYS[1]  the stream
-- ARGV[1]  the group
-- ARGV[2]  who gives them back
-- ARGV[3]  in whose name they wait
-- ARGV[4]  ms that an entry is idle when anybody may have it
-- ARGV[5]  ms until then
-- ARGV[6]… ids
--
-- Returns the ids of those that were trimmed away: whoever has them in memory has to add them again.

local stream, group, me, nobody = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local begin = tonumber(ARGV[4]) - tonumber(ARGV[5])
local gone = {}
for place = 6, #ARGV do
  local id = ARGV[place]
  local pending = redis.call('XPENDING', stream, group, id, id, 1)
  if pending[1] and pending[1][2] == me then
    local got = redis.call('XCLAIM', stream, group, nobody, 0, id, 'IDLE', begin,
                           'RETRYCOUNT', math.max(0, pending[1][4] - 1), 'JUSTID')
    if not got[1] then
      redis.call('XACK', stream, group, id)
      gone[#gone + 1] = id
    end
  end
end
return gone
