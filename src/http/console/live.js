// The stream of changes. It is read with fetch, which unlike EventSource can carry a token, and
// resumes from the last event seen. It reconnects by itself and says since when nothing is heard.

import { credentials } from './api.js';

/** The server speaks every 2 s; quiet for this long, in milliseconds, what is shown is stale. */
const QUIET_MS = 8_000;
/** First and longest wait before another try, in milliseconds. */
const RETRY_MS = 500;
const RETRY_MS_MAX = 10_000;
/** Longest unfinished event kept, in characters; beyond it the stream is begun again. */
const EVENT_CHARS_MAX = 4_000_000;

const listeners = new Map();
const watchers = new Set();
let started = false;
let last = '';
let attempt = 0;
let aborter = null;
let timer = 0;
let quiet = 0;

/** How the stream stands: `connecting`, `live`, `stale` or `refused`; `since` is when it was last heard. */
export const link = { state: 'connecting', since: null, retryAt: null };

function become(state, retryAt = null) {
  if (link.state === state && link.retryAt === retryAt) return;
  link.state = state;
  link.retryAt = retryAt;
  for (const watch of watchers) watch(link);
}

function heard() {
  link.since = Date.now();
  clearTimeout(quiet);
  quiet = setTimeout(() => aborter?.abort(), QUIET_MS);
}

function tell(name, data) {
  for (const listener of listeners.get(name) ?? []) listener(data);
}

function dispatch(block) {
  let name = 'message';
  let id = null;
  const data = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event') name = value;
    else if (field === 'data') data.push(value);
    else if (field === 'id') id = value;
  }
  if (name === 'reset') last = '';
  else if (id !== null) last = id;
  if (!data.length && name === 'message') return;
  let value = null;
  try {
    value = data.length ? JSON.parse(data.join('\n')) : null;
  } catch {
    return;
  }
  tell(name, value);
}

async function listen(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    rest += value.replaceAll('\r\n', '\n');
    let end = rest.indexOf('\n\n');
    let from = 0;
    while (end >= 0) {
      dispatch(rest.slice(from, end));
      from = end + 2;
      end = rest.indexOf('\n\n', from);
    }
    rest = rest.slice(from);
    if (rest.length > EVENT_CHARS_MAX) return;
  }
}

async function connect() {
  timer = 0;
  aborter = new AbortController();
  try {
    const headers = { accept: 'text/event-stream', ...credentials() };
    if (last) headers['last-event-id'] = last;
    clearTimeout(quiet);
    quiet = setTimeout(() => aborter?.abort(), QUIET_MS);
    const response = await fetch('/api/v1/stream', { headers, signal: aborter.signal, cache: 'no-store' });
    if (response.status === 401 || response.status === 403) {
      clearTimeout(quiet);
      become('refused');
      return;
    }
    if (!response.ok) throw new Error(String(response.status));
    const again = link.state === 'stale';
    attempt = 0;
    heard();
    become('live');
    // What was read over HTTP while away may be older than the resumed stream, never newer.
    if (again) tell('back', null);
    await listen(response);
  } catch {
    // Every failure is met the same way: another try.
  }
  clearTimeout(quiet);
  const wait = Math.min(RETRY_MS * 2 ** attempt, RETRY_MS_MAX) * (0.75 + Math.random() / 2);
  attempt += 1;
  become('stale', Date.now() + wait);
  timer = setTimeout(connect, wait);
}

/** Goes on from where the stream stood when a list was read, unless more was heard; begins to listen if it does not yet. */
export function from(position) {
  last ||= position;
  if (!started) start();
  else if (link.state === 'refused') retry();
}

function start() {
  started = true;
  connect();
  // A laptop that wakes or regains its network does not wait for the next try.
  const hurry = () => {
    if (link.state !== 'live') retry();
  };
  addEventListener('online', hurry);
  document.addEventListener('visibilitychange', () => document.hidden || hurry());
}

/** Tries again at once, for example with a token. */
export function retry() {
  attempt = 0;
  if (timer || link.state === 'refused') {
    clearTimeout(timer);
    connect();
  }
}

/** Calls `listener` with the data of each event of that name; returns how to stop. `back` follows a reconnect, `reset` a gap. */
export function on(name, listener) {
  const known = listeners.get(name) ?? new Set();
  listeners.set(name, known.add(listener));
  return () => known.delete(listener);
}

/** Calls `watch` at once and whenever the link's state changes. */
export function onLink(watch) {
  watchers.add(watch);
  watch(link);
  return () => watchers.delete(watch);
}
