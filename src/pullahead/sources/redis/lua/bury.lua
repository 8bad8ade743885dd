-- Move an entry that has failed for good to the dead letters, if it is still this one's. Saying so twice, because
-- the first answer was lost, buries it once.
--
-- KEYS[1]  the stream
-- KEYS[2]  the stream of the dead letters; in a cluster in the same slot
-- ARGV[1]  the group
-- ARGV[2]  who says so
-- ARGV[3]  the id
-- ARGV[4]… what the dead letter says: field, value, ...; no more than `unpack` takes
--
-- Returns 1 if it was buried.

local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if not pending[1] or pending[1][2] ~= ARGV[2] then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4)) -- first: what a script did before an error is not undone
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return 1
