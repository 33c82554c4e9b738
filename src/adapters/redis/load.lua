-- KEYS: meta, state. ARGV: subjects. Returns epoch, meta, the value or false of each subject.
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'meta')
local values = {}
for n = 1, #ARGV do values[n] = redis.call('HGET', KEYS[2], ARGV[n]) end
return { stored[1], stored[2], values }
