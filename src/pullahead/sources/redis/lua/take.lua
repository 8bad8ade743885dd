-- Hand out entries: first those whose deadline has passed, then those that nobody has had.
--
-- KEYS[1]  the stream
-- ARGV[1]  the group
-- ARGV[2]  who takes
-- ARGV[3]  in whose name those wait that were given back
-- ARGV[4]  how many at most
-- ARGV[5]  ms that an entry is idle when its deadline has passed
-- ARGV[6]  ms of them that a lease lasts from now
--
-- Returns {entries, gone, others, waiting}: each entry as {id, {field, value, ...}, deliveries}; the ids of those
-- whose deadline has passed and which were trimmed away meanwhile; how many more this one may still get; how many
-- of these were given back.

local stream, group, me, nobody = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local most, idle, lease = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local begin = idle - lease
local entries, gone = {}, {}

-- 1. Late ones of others, oldest first. XPENDING takes no "not mine", so it is read by the page.
local from, PAGE = '-', 100
while #entries < most do
  local page = redis.call('XPENDING', stream, group, 'IDLE', idle, from, '+', PAGE)
  for _, late in ipairs(page) do
    if late[2] ~= me and #entries < most then
      local got = redis.call('XCLAIM', stream, group, me, 0, late[1], 'IDLE', begin,
                             'RETRYCOUNT', late[4] + 1)
      if got[1] then
        entries[#entries + 1] = {late[1], got[1][2], late[4] + 1}
      else -- the server has taken it off the list: there is nothing left to work on
        redis.call('XACK', stream, group, late[1])
        gone[#gone + 1] = late[1]
      end
    end
  end
  if #page < PAGE then break end
  from = '(' .. page[#page][1]
end

-- 2. New ones.
if #entries < most then
  local read = redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', most - #entries, 'STREAMS', stream, '>')
  if read then
    local ids = {}
    for _, entry in ipairs(read[1][2]) do
      entries[#entries + 1] = {entry[1], entry[2], 1}
      ids[#ids + 1] = entry[1]
    end
    for first = 1, #ids, 1000 do -- more arguments than that are too many for `unpack`
      local some = {unpack(ids, first, math.min(#ids, first + 999))}
      some[#some + 1] = 'IDLE'
      some[#some + 1] = begin
      some[#some + 1] = 'JUSTID'
      redis.call('XCLAIM', stream, group, me, 0, unpack(some))
    end
  end
end

-- 3. What others have may come here yet.
local others, waiting = 0, 0
local summary = redis.call('XPENDING', stream, group)
if summary[1] > 0 then
  for _, one in ipairs(summary[4]) do
    if one[1] ~= me then others = others + tonumber(one[2]) end
    if one[1] == nobody then waiting = tonumber(one[2]) end
  end
end
return {entries, gone, others, waiting}
