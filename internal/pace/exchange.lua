-- One call settles all that a worker wants: it is a step of its own for everybody else. Times are microseconds of
-- Redis's clock; answers name spans from now on, so that no other clock matters.
local ask = cjson.decode(ARGV[1])
local clock, workers, urgent, throttled, health = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local fixed = 5
local answer = {}
local function int(n) return string.format('%.0f', n) end

-- That clock may be set back, and another Redis may take over with one that is behind: ours stands at its last time
-- then, and goes on from there. The key holds that time, and how far ours is ahead.
local t = redis.call('TIME')
local last, offset = string.match(redis.call('GET', clock) or '0 0', '(%d+) (%d+)')
local now = math.max(t[1] * 1000000 + t[2] + offset, tonumber(last))
if ask.worker ~= '' then
  redis.call('SET', clock, int(now) .. ' ' .. int(now - t[1] * 1000000 - t[2]))
  redis.call('ZADD', workers, int(now), ask.worker)
  redis.call('PEXPIRE', workers, 60000)
end
redis.call('ZREMRANGEBYSCORE', workers, '-inf', int(now - ask.lives))
answer.workers = redis.call('ZCARD', workers)

-- Something urgent that could go, anywhere.
if ask.urgent then redis.call('SET', urgent, int(now + 600000), 'PX', 600) end
answer.urgent = (tonumber(redis.call('GET', urgent) or '0') or 0) > now

-- Rates: GCRA. A key holds when its timeline is free again; a lease is the next stretch of it. What nobody asked for
-- in time is made up for, as far as "lag" goes.
if ask.leases then
  answer.leases = {}
  for i, l in ipairs(ask.leases) do
    local free = math.max(now - ask.lag, tonumber(redis.call('GET', KEYS[fixed + i]) or '0'))
    if free - now > ask.ahead then
      answer.leases[i] = {wait = free - now - ask.ahead, delay = 0}
    else
      redis.call('SET', KEYS[fixed + i], int(free + l.span), 'PX', int((free - now + l.span) / 1000 + 60000))
      answer.leases[i] = {wait = 0, delay = free - now}
    end
  end
end

-- Connections: what a worker may use is what others leave, and no more than its part when all want more than there is.
if ask.slots then
  answer.slots = {}
  for i, s in ipairs(ask.slots) do
    local key = KEYS[fixed + #(ask.leases or {}) + i]
    local all = redis.call('HGETALL', key)
    local taken, wanted, wanting, without = 0, s.wants, 1, false
    local had, since, longest = 0, now, now -- since when it has some, or waits for the first; who waits longest
    for j = 1, #all, 2 do
      local granted, wants, till, at = string.match(all[j + 1], '(%d+) (%d+) (%d+) ?(%d*)')
      granted, wants, at = tonumber(granted), tonumber(wants), tonumber(at) or now
      if all[j] == ask.worker then
        had, since = granted, at
      elseif tonumber(till) < now then
        redis.call('HDEL', key, all[j])
      else
        taken, wanted = taken + granted, wanted + wants
        if wants > 0 then wanting = wanting + 1 end
        if wants > 0 and granted == 0 then without, longest = true, math.min(longest, at) end
      end
    end
    local part = s.limit
    if wanted > s.limit then
      part = math.ceil(s.limit / wanting)
      if without then part = math.floor(s.limit / wanting) end
      -- Fewer than there are workers are taken in turns, by who waits longest.
      if part == 0 and (had > 0 and now - since < ask.turn or had == 0 and since <= longest) then part = 1 end
    end
    -- Who has more under way than it may keeps that booked until it is done.
    local granted = math.max(0, math.min(s.wants, part, s.limit - taken))
    local booked = math.max(s.used, granted)
    if (booked > 0) ~= (had > 0) then since = now end
    if booked + s.wants == 0 then
      redis.call('HDEL', key, ask.worker)
    else
      redis.call('HSET', key, ask.worker, int(booked) .. ' ' .. int(s.wants) .. ' ' .. int(now + ask.lives) .. ' ' .. int(since))
      redis.call('PEXPIRE', key, 60000)
    end
    answer.slots[i] = granted
  end
end

-- Throttling: additive increase, worked out when it is read, and multiplicative decrease. Thousandths of mails a second.
local function rate(text)
  local base, upto, since = string.match(text, '(%d+) (%d+) (%d+)')
  return math.min(upto, base + upto / ask.growth * (now - since) / 1e6), tonumber(upto), tonumber(since)
end
for _, r in ipairs(ask.reports or {}) do
  local old = redis.call('HGET', throttled, r.pair)
  local base, upto, since = r.rate, r.upto, 0
  if old then
    local current
    current, _, since = rate(old)
    base, upto = current / 2, math.max(upto, current) -- below half of it the pair would be free at once
  end
  if now - since >= 1e6 then
    redis.call('HSET', throttled, r.pair, int(math.max(base, ask.floor)) .. ' ' .. int(upto) .. ' ' .. int(now))
  end
end
local all = redis.call('HGETALL', throttled)
for j = 1, #all, 2 do
  local r, upto = rate(all[j + 1])
  if r >= upto then
    redis.call('HDEL', throttled, all[j])
  else
    answer.throttled = answer.throttled or {}
    table.insert(answer.throttled, {pair = all[j], rate = r, upto = upto})
  end
end
if #all > 0 then redis.call('PEXPIRE', throttled, int(ask.growth * 2000)) end

-- What people are shown.
if ask.health then
  redis.call('HSET', health, ask.worker, ask.health)
  redis.call('PEXPIRE', health, 60000)
end
return cjson.encode(answer)
