-- KEYS: meta, state, wakes, observed. ARGV: epoch, prefix of the observation lists.
local epoch, mine = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0'), tonumber(ARGV[1])
if epoch > mine then return 'fenced' end
if epoch < mine then return 'went-back' end
-- The lists carry the hash tag of KEYS, hence live in the same slot.
for _, subject in ipairs(redis.call('SMEMBERS', KEYS[4])) do
  redis.call('UNLINK', ARGV[2] .. subject)
end
redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
redis.call('HDEL', KEYS[1], 'meta')
return 'committed'
