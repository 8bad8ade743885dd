-- Move dead letters back into their stream, as the entries that they were. Those of other streams stay, those of which
-- nothing is left but why they are here, and those that are too wide for a script.
--
-- KEYS[1]  the stream of the dead letters
-- KEYS[2]  the stream; in a cluster in the same slot
-- ARGV[1]  from which id on
-- ARGV[2]  up to which
-- ARGV[3]  how many are looked at, at most
-- ARGV[4]  names and values that an entry has at most
--
-- Returns {how many were moved, the id of the last one that was looked at, or nothing}.

local letters, stream, widest = KEYS[1], KEYS[2], tonumber(ARGV[4])
local moved, last = 0, false
for _, letter in ipairs(redis.call('XRANGE', letters, ARGV[1], ARGV[2], 'COUNT', ARGV[3])) do
  local fields = letter[2]
  local own = #fields - 8 -- the rest is what we have added: names and values of four fields
  last = letter[1]
  if own > 0 and own <= widest and fields[own + 1] == 'pullahead-stream' and fields[own + 2] == stream then
    redis.call('XADD', stream, '*', unpack(fields, 1, own))
    redis.call('XDEL', letters, last)
    moved = moved + 1
  end
end
return {moved, last}
