-- Say how a group stands.
--
-- KEYS[1]  the stream
-- ARGV[1]  the group
-- ARGV[2]  in whose name entries wait that were given back
-- ARGV[3]  ms that an entry is idle when anybody may have it
--
-- Returns {ready, read, out, waiting, due, consumers, age}: how many entries nobody has had, or -1 where they have to
-- be counted; the id of the last one that somebody has had; how many somebody has; how many were given back; how
-- many of both anybody may have; how many consumers have any; for how many ms the first of those that nobody has had
-- has been there, or -1.

local stream, group, nobody = KEYS[1], ARGV[1], ARGV[2]
local size = redis.call('XLEN', stream)
local read, lag = '0-0', false
local out, waiting, due, consumers, age = 0, 0, 0, 0, -1

local groups = redis.call('EXISTS', stream) == 1 and redis.call('XINFO', 'GROUPS', stream) or {}
for _, flat in ipairs(groups) do
  local one = {}
  for place = 1, #flat, 2 do one[flat[place]] = flat[place + 1] end
  if one['name'] == group then
    read = one['last-delivered-id']
    lag = one['lag']
    local summary = redis.call('XPENDING', stream, group)
    for _, has in ipairs(summary[1] > 0 and summary[4] or {}) do
      if has[1] == nobody then
        waiting = waiting + tonumber(has[2])
      else
        out, consumers = out + tonumber(has[2]), consumers + 1
      end
    end
    local from, PAGE = '-', 1000
    while true do
      local page = redis.call('XPENDING', stream, group, 'IDLE', ARGV[3], from, '+', PAGE)
      due = due + #page
      if #page < PAGE then break end
      from = '(' .. page[#page][1]
    end
  end
end

-- What the server calls lag is right only while nothing has ever been deleted or trimmed: entries that went unread
-- stay in it.
local function is_whole()
  local flat = redis.call('XINFO', 'STREAM', stream)
  for place = 1, #flat, 2 do
    if flat[place] == 'entries-added' then return flat[place + 1] == size end
  end
  return false
end

local ready = 0
local first = redis.call('XRANGE', stream, '(' .. read, '+', 'COUNT', 1)[1]
if first then
  if #redis.call('XREVRANGE', stream, read, '-', 'COUNT', 1) == 0 then
    ready = size
  else
    ready = lag and is_whole() and lag or -1
  end
  local now = redis.call('TIME')
  local put = tonumber(string.match(first[1], '^%d+'))
  age = math.max(0, now[1] * 1000 + math.floor(now[2] / 1000) - put)
end
return {ready, read, out, waiting, due, consumers, age}
