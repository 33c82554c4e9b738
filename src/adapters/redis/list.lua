-- KEYS: meta, state. Returns epoch, meta, the subjects with state in no order.
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'meta')
return { stored[1], stored[2], redis.call('HKEYS', KEYS[2]) }
