-- KEYS: meta, state, wakes, observed, then one list key for each observed and each deleted subject.
-- ARGV: epoch, whether a meta is expected, expected meta, meta, capacity, number of observed
-- subjects, of states, of wakes; then per observed subject (subject, count, values oldest first),
-- per state (subject, kept, value), per wake (subject, set, time).
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'meta')
local epoch, mine = tonumber(stored[1] or '0'), tonumber(ARGV[1])
if epoch > mine then return 'fenced' end
if epoch < mine then return 'went-back' end
local expected = ARGV[2] == '1' and ARGV[3] or false
if stored[2] ~= expected then
  if stored[2] == ARGV[4] then return 'committed' end
  return 'went-back'
end
-- The first write is one Redis refuses when memory is full, so that a full Redis changes nothing;
-- the meta comes last, so that a repeat is recognised only after everything was written.
redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
local capacity, key, at = tonumber(ARGV[5]), 5, 9
for _ = 1, tonumber(ARGV[6]) do
  local subject, count = ARGV[at], tonumber(ARGV[at + 1])
  for n = 1, count do redis.call('LPUSH', KEYS[key], ARGV[at + 1 + n]) end
  redis.call('LTRIM', KEYS[key], 0, capacity - 1)
  redis.call('SADD', KEYS[4], subject)
  key = key + 1
  at = at + 2 + count
end
-- After the observations: a deleted subject keeps none, not even those of this checkpoint.
for _ = 1, tonumber(ARGV[7]) do
  if ARGV[at + 1] == '1' then
    redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 2])
  else
    redis.call('HDEL', KEYS[2], ARGV[at])
    redis.call('SREM', KEYS[4], ARGV[at])
    redis.call('DEL', KEYS[key])
    key = key + 1
  end
  at = at + 3
end
for _ = 1, tonumber(ARGV[8]) do
  if ARGV[at + 1] == '1' then
    redis.call('ZADD', KEYS[3], ARGV[at + 2], ARGV[at])
  else
    redis.call('ZREM', KEYS[3], ARGV[at])
  end
  at = at + 3
end
redis.call('HSET', KEYS[1], 'meta', ARGV[4])
return 'committed'
