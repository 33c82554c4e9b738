-- KEYS: meta, wakes. ARGV: lowest epoch. Returns epoch, meta or false, wakes with their times.
local epoch = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0') + 1
if epoch < tonumber(ARGV[1]) then epoch = tonumber(ARGV[1]) end
local text = string.format('%.0f', epoch)
redis.call('HSET', KEYS[1], 'epoch', text)
return { text, redis.call('HGET', KEYS[1], 'meta'), redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES') }
