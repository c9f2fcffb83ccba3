-- KEYS: marker, entry, what was taken. ARGV: marker, nonce.
local nonce = ARGV[2]
local entry = redis.call('GET', KEYS[2])
if entry then
  local owner, value = of(entry)
  redis.call('DEL', KEYS[2])
  drop(owner, key_of(KEYS[2]), #value)
  -- For as long as this very call may ask again because its answer was lost.
  redis.call('SET', KEYS[3], nonce .. value, 'PX', 1000)
  return {'yes', value}
end
local taken = redis.call('GET', KEYS[3])
if taken and string.sub(taken, 1, #nonce) == nonce then
  local value = string.sub(taken, #nonce + 1)
  redis.call('SET', KEYS[3], taken, 'PX', 1000)
  return {'yes', value}
end
return {'no'}
