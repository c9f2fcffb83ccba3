-- KEYS: marker, entry. ARGV: marker, end, bytes, old, new.
local old, new = ARGV[4], ARGV[5]
local till, ending = ends(ARGV[2])
local at, micros = now()
local entry = redis.call('GET', KEYS[2])
if not entry then return {'no'} end
local owner, value = of(entry)
-- The new one is there already when the answer to this very call was lost.
if value ~= old and value ~= new then return {'no'} end
if ending <= micros then return {'over'} end
forget(owner, at)
if not room(owner, #new, #value, math.huge, tonumber(ARGV[3])) then return {'quota'} end
drop(owner, key_of(KEYS[2]), #value)
keep(KEYS[2], owner, new, #new, till, at)
return {'yes'}
