-- An entry is its owner's 32 bytes and the value. An owner has a sorted set, of entries
-- by their ends, each with its size behind its 32 bytes, and the sum of the sizes.
local PREFIX = 'exchequer:'
-- Ends come in microseconds, and are kept in the milliseconds that the server counts,
-- rounded up: what is remembered is remembered to the end.
local function now()
  local t = redis.call('TIME')
  local micros = tonumber(t[1]) * 1000000 + tonumber(t[2])
  return math.floor(micros / 1000), micros
end
local function ends(arg)
  local micros = tonumber(arg)
  return math.ceil(micros / 1000), micros
end
local function text(n) return string.format('%.0f', n) end
local function set_of(owner) return PREFIX .. 'o:' .. owner end
local function sum_of(owner) return PREFIX .. 'b:' .. owner end
local function of(entry) return string.sub(entry, 1, 32), string.sub(entry, 33) end
-- key is the entry's 32 bytes, without what stands before them in its name.
local function key_of(name) return string.sub(name, -32) end

-- less takes freed bytes off a sum, if there still is one.
local function less(owner, freed)
  if freed > 0 and redis.call('EXISTS', sum_of(owner)) == 1 then
    redis.call('DECRBY', sum_of(owner), text(freed))
  end
end

-- drop takes an entry out of its owner's account.
local function drop(owner, key, size)
  if redis.call('ZREM', set_of(owner), key .. text(size)) == 1 then less(owner, size) end
end

-- forget takes what is over out of the owner's account.
local function forget(owner, at)
  while true do
    local over = redis.call('ZRANGEBYSCORE', set_of(owner), '-inf', text(at), 'LIMIT', 0, 1000)
    if #over == 0 then return end
    local freed = 0
    for _, member in ipairs(over) do freed = freed + tonumber(string.sub(member, 33)) end
    redis.call('ZREM', set_of(owner), unpack(over))
    less(owner, freed)
  end
end

local function stretch(name, till, at)
  local left = redis.call('PTTL', name)
  if left < 0 or at + left < till then redis.call('PEXPIREAT', name, text(till)) end
end

-- keep writes an entry and enters it in its owner's account.
local function keep(name, owner, value, size, till, at)
  redis.call('SET', name, owner .. value, 'PXAT', text(till))
  redis.call('ZADD', set_of(owner), text(till), key_of(name) .. text(size))
  stretch(set_of(owner), till, at)
  if size > 0 then
    redis.call('INCRBY', sum_of(owner), text(size))
    stretch(sum_of(owner), till, at)
  end
end

-- room says whether an owner has room for one more entry of this size, when one of
-- another size makes place for it.
local function room(owner, size, instead, entries, bytes)
  local has = redis.call('ZCARD', set_of(owner))
  local sum = tonumber(redis.call('GET', sum_of(owner)) or '0')
  if instead then has, sum = has - 1, sum - instead end
  return has < entries and sum + size <= bytes
end

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'other'} end
