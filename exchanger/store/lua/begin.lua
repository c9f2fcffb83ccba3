-- What has kept everything since when? A marker says so, and for which server: a store
-- that was flushed has none; one that was restarted, took over from another or had to
-- evict may lack what was written last, and begins anew. Nothing is removed.
-- KEYS: marker. ARGV: a new name, the server's run ID, its number of evictions.
local marker = redis.call('GET', KEYS[1])
local server = ARGV[2] .. ' ' .. ARGV[3]
if marker then
  local _, _, of = string.find(marker, '^%S+ %S+ (.+)$')
  if of == server then return marker end
end
local t = redis.call('TIME')
local since = tonumber(t[1])
if tonumber(t[2]) > 0 then since = since + 1 end
marker = ARGV[1] .. ' ' .. string.format('%.0f', since) .. ' ' .. server
redis.call('SET', KEYS[1], marker)
return marker
