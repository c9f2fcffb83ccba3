-- KEYS: marker, entry. ARGV: marker, owner, end, entries, bytes, value.
local owner, value = ARGV[2], ARGV[6]
local till, ending = ends(ARGV[3])
local at, micros = now()
if ending <= micros then return {'over'} end
forget(owner, at)
local entry, by, before = redis.call('GET', KEYS[2]), nil, nil
if entry then by, before = of(entry) end
if not room(owner, #value, by == owner and #before or nil, tonumber(ARGV[4]), tonumber(ARGV[5])) then
  return {'quota'}
end
if entry then drop(by, key_of(KEYS[2]), #before) end
keep(KEYS[2], owner, value, #value, till, at)
return {'yes'}
