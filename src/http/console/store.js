// Every recommendation the console holds, kept by the stream. Views read it and are told of
// changes once an animation frame, whatever the rate of the stream.

import { framed } from './dom.js';
import { get, takeFirst } from './api.js';
import { from, on } from './live.js';
import { badness } from './format.js';

/** Rows held at most; what ranks lower is counted and not held. */
export const ROWS_MAX = 20_000;
/** Rows of the first answer, which is on the screen before the rest is asked for. */
const FIRST = 100;
const PAGE = 1_000;

/** The rows by id. */
export const rows = new Map();
/** How the load stands: `loading`, `ready` or `failed` (with `error`); `total` is what the server has. */
export const load = { state: 'loading', total: 0, error: null, scope: null };

const watchers = new Set();
let changed = new Set();
let moved = false;
let run = 0;

const tell = framed(() => {
  const batch = { ids: changed, moved };
  changed = new Set();
  moved = false;
  for (const watch of watchers) watch(batch);
});

const EFFORT = {
  tag: 0, revoke_ingress: 0, change_credits: 0, stop: 1, schedule: 1, scale: 1,
  delete: 2, terminate: 2, recover: 2, rightsize: 3, upgrade: 3, investigate: 4,
};

/** What a row is ordered by, worked out once a change. */
function keyed(row) {
  const security = row.why.some(([agent]) => agent === 'security');
  row.first = row.severity === 'critical' && security ? 1 : 0;
  row.score = row.priority.score;
  row.effort = EFFORT[row.action] ?? 4;
  row.saves = row.state === 'open' ? Number(row.savings?.monthly ?? 0) : 0;
  row.bad = badness(row.severity);
  row.openedMs = Date.parse(row.opened_at);
  row.atMs = Date.parse(row.at);
  row.cause = row.rules.join(' ');
  return row;
}

const by = {
  rank: (a, b) => b.first - a.first || b.score - a.score || a.effort - b.effort || a.openedMs - b.openedMs,
  savings: (a, b) => b.saves - a.saves,
  severity: (a, b) => b.bad - a.bad || b.score - a.score,
  updated: (a, b) => b.atMs - a.atMs,
  owner: (a, b) => (a.owner < b.owner ? -1 : a.owner > b.owner ? 1 : 0),
};

/** Orders for a sort's name; ids break ties, so that rows do not swap. */
export function order(sort, reversed) {
  const compare = by[sort] ?? by.rank;
  const way = reversed ? -1 : 1;
  return (a, b) => way * compare(a, b) || (a.id < b.id ? -1 : 1);
}

function newer(row, known) {
  return !known || row.epoch > known.epoch || (row.epoch === known.epoch && row.seq > known.seq);
}

/** Takes a row if it is newer than the one held. */
export function take(row) {
  const known = rows.get(row.id);
  if (!newer(row, known)) return;
  keyed(row);
  row.fresh = load.state === 'ready';
  if (!known && rows.size >= ROWS_MAX) return;
  if (!known || known.state !== row.state || known.score !== row.score || known.saves !== row.saves || known.atMs !== row.atMs) moved = true;
  rows.set(row.id, row);
  changed.add(row.id);
  tell();
}

async function pages(scope, mine, first, seen) {
  let cursor = null;
  let page = first;
  do {
    page ??= await get('/recommendations', { state: scope, profile: 'audit', limit: cursor ? PAGE : FIRST, cursor });
    if (mine !== run) return;
    load.total = page.total;
    for (const row of page.recommendations) {
      seen.add(row.id);
      take(row);
    }
    // The first rows do not wait for a frame.
    if (load.state === 'loading' && !cursor) tell.now();
    from(page.as_of);
    cursor = page.next;
    page = null;
  } while (cursor && rows.size < ROWS_MAX);
}

/** Loads every row of a scope: `open`, or `all` with what is superseded, vetoed and resolved. */
export async function reload(scope = load.scope ?? 'open') {
  run += 1;
  const mine = run;
  const first = scope === 'open' ? takeFirst() : null;
  load.scope = scope;
  load.error = null;
  load.state = rows.size ? load.state : 'loading';
  moved = true;
  tell();
  const held = new Map(rows);
  const seen = new Set();
  try {
    await pages(scope, mine, first ? await first : null, seen);
    if (mine !== run) return;
    load.state = 'ready';
    // What the server no longer lists, and the stream has not touched since, is gone.
    for (const [id, row] of held) if (!seen.has(id) && rows.get(id) === row) rows.delete(id);
  } catch (error) {
    if (mine !== run) return;
    load.state = 'failed';
    load.error = error;
    from('');
  }
  moved = true;
  tell();
}

/** Calls `watch` with `{ids, moved}` once a frame while something changes. */
export function onRows(watch) {
  watchers.add(watch);
  return () => watchers.delete(watch);
}

on('recommendation', (row) => row?.id && take(row));
on('reset', () => reload());
