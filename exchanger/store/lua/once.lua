-- KEYS: marker, entry. ARGV: marker, owner, end, entries, nonce.
local owner, nonce = ARGV[2], ARGV[5]
local till, ending = ends(ARGV[3])
local at, micros = now()
local entry = redis.call('GET', KEYS[2])
if entry then
  local by, value = of(entry)
  if value ~= nonce then return {'no'} end
  -- It is this very call's, whose answer was lost. It is written again, so that
  -- waiting for replicas waits for it.
  drop(by, key_of(KEYS[2]), 0)
elseif ending <= micros then
  return {'over'}
end
forget(owner, at)
if not entry and not room(owner, 0, nil, tonumber(ARGV[4]), 0) then
  -- Uses have no size: only their number counts.
  return {'quota'}
end
keep(KEYS[2], owner, nonce, 0, till, at)
return {'yes'}
