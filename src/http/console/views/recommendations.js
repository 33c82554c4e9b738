// Every recommendation, ranked, live. Rows are filtered and grouped here, so that a key or a filter
// answers at once however many there are.

import { attribute, h, put, text, throttled } from '../dom.js';
import { AGENTS, SEVERITIES, ago, badness, capital, count, money, parts, plural, words } from '../format.js';
import { empty, failure, head, loading, recommendationHref, say, search, select } from '../parts/bits.js';
import { Windowed } from '../parts/windowed.js';
import * as store from '../store.js';

/** Rows are put in order at most this often, in milliseconds: numbers change at once, places calmly. */
const ORDER_MS = 1_000;
/** While the pointer or focus has just moved over the rows, their places hold for this long, at most for the second. */
const HOLD_MS = 1_500;
const HOLD_MS_MAX = 8_000;

const SORTS = [['rank', 'Most urgent'], ['savings', 'Saves most'], ['severity', 'Severity'], ['updated', 'Newest change'], ['owner', 'Resource']];
const GROUPS = [['both', 'By resource and cause'], ['owner', 'By resource'], ['cause', 'By rule'], ['none', 'Ungrouped']];
const GROUP_KEY = { both: (row) => `${row.owner} ${row.why[0]?.[0]}`, owner: (row) => row.owner, cause: (row) => row.cause, none: (row) => row.id };
const STATES = [['', 'Any state'], ['open', 'Open'], ['superseded', 'Superseded'], ['vetoed', 'Vetoed'], ['resolved', 'Resolved']];
const DEFAULTS = { q: '', severity: '', agent: '', account: '', action: '', state: '', sort: 'rank', order: 'desc', group: 'both', profile: 'default' };
const COLUMNS = [
  { label: 'Severity', name: 'c-severity' }, { label: 'Recommendation', name: 'c-title' }, { label: 'Agents', name: 'c-agents' },
  { label: 'Saves a month', name: 'c-saves' }, { label: 'Score', name: 'c-score' }, { label: 'Changed', name: 'c-at' },
];

/** The words a search looks through, worked out once a row. */
function haystack(row) {
  row.hay ??= `${row.title}\n${row.owner}\n${row.cause}\n${row.action}\n${row.why.map(([, why]) => why).join('\n')}`.toLowerCase();
  return row.hay;
}

/** Whether a row passes every filter but the one named. */
function passes(row, filter, but = '') {
  if (filter.profile === 'default' ? row.state !== 'open' : filter.state && row.state !== filter.state) return false;
  if (filter.severity && but !== 'severity' && row.severity !== filter.severity) return false;
  if (filter.agent && but !== 'agent' && !row.why.some(([agent]) => agent === filter.agent)) return false;
  if (filter.account && !row.owner.startsWith(`${filter.account}/`)) return false;
  if (filter.action && row.action !== filter.action) return false;
  return filter.words.every((word) => haystack(row).includes(word));
}

/** Rows in order as items: the leading row of each group, followed by the others when it is open. */
function items(filter, unfolded) {
  const groups = new Map();
  const key = GROUP_KEY[filter.group] ?? GROUP_KEY.both;
  for (const row of [...store.rows.values()].filter((row) => passes(row, filter)).sort(store.order(filter.sort, filter.order === 'asc'))) {
    const name = key(row);
    const known = groups.get(name);
    if (known) known.push(row.id);
    else groups.set(name, [row.id]);
  }
  const list = [];
  for (const [name, ids] of groups) {
    const open = unfolded.has(name);
    ids.forEach((id, at) => {
      if (at === 0 || open) list.push({ key: id, group: name, more: at === 0 ? ids.length - 1 : 0, open, child: at > 0, last: at === ids.length - 1 });
    });
  }
  return { list, groups: groups.size };
}

/** A title in its two halves: `Stop instance/i-0abc: Instance is idle` is a change and its reason. */
export function said(row) {
  const at = row.title.indexOf(': ');
  return at < 0 ? { change: capital(row.action), reason: row.title } : { change: row.title.slice(0, at), reason: row.title.slice(at + 2) };
}

const sameItem = (a, b) => a && a.group === b.group && a.more === b.more && a.open === b.open && a.child === b.child && a.last === b.last;

function makeRow(toggle) {
  const cell = (name, ...children) => h('td', { class: name }, children);
  const row = h('tr', {});
  const link = h('a', { class: 'row-link' });
  const more = h('button', { class: 'more', type: 'button', onclick: () => toggle(row.group) });
  row.parts = {
    word: h('span', {}), link, more, what: h('span', { class: 'row-what' }), place: h('span', { class: 'row-place' }), state: h('span', { class: 'chip' }),
    agents: h('span', { class: 'row-agents' }), saves: h('span', { class: 'saves' }), bar: h('i', {}), score: h('span', {}), at: h('span', {}),
  };
  const { word, what, place, state, agents, saves, bar, score, at } = row.parts;
  row.severity = h('span', { class: 'severity' }, h('i', { 'aria-hidden': 'true' }), word);
  row.append(
    cell('c-severity', row.severity),
    cell('c-title', h('div', { class: 'row-title' }, link, state, more), h('div', { class: 'row-sub' }, what, place)),
    cell('c-agents', agents), cell('c-saves', saves),
    cell('c-score', h('span', { class: 'score' }, h('span', { class: 'score-bar', 'aria-hidden': 'true' }, bar), score)), cell('c-at', at));
  row.addEventListener('click', (event) => {
    if (!event.target.closest('a, button') && !String(getSelection())) link.click();
  });
  return row;
}

function patchRow(node, item) {
  const row = store.rows.get(item.key);
  if (!row) return;
  const { word, link, more, what, place, state, agents, saves, bar, score, at } = node.parts;
  node.group = item.group;
  attribute(node, 'data-child', item.child ? '' : null);
  attribute(node, 'data-last', item.child && item.last ? '' : null);
  attribute(node, 'data-held', row.state === 'open' ? null : '');
  attribute(node.severity, 'data-severity', row.severity);
  text(word, capital(row.severity));
  const { change, reason } = said(row);
  text(link, reason);
  attribute(link, 'aria-label', row.title);
  attribute(link, 'title', row.title);
  attribute(link, 'href', recommendationHref(row.id));
  text(what, change);
  const { account, region } = parts(row.owner);
  text(place, `${account} · ${region}`);
  attribute(state, 'hidden', row.state === 'open' ? '' : null);
  text(state, capital(row.state));
  attribute(more, 'hidden', item.more ? null : '');
  if (item.more) {
    text(more, item.open ? 'fewer' : `+${count(item.more)}`);
    attribute(more, 'aria-expanded', item.open ? 'true' : 'false');
    attribute(more, 'aria-label', `${plural(item.more, 'more row')} of this group`);
  }
  const names = [...new Set(row.why.map(([agent]) => agent))].sort((a, b) => AGENTS.indexOf(a) - AGENTS.indexOf(b));
  if (agents.dataset.names !== names.join(' ')) {
    agents.dataset.names = names.join(' ');
    put(agents, names.map((name) => h('span', { class: 'agent', data: { agent: name } }, name)));
  }
  const worth = Number(row.savings?.monthly ?? 0);
  text(saves, worth ? money(worth) : '–');
  attribute(saves, 'data-none', worth ? null : '');
  bar.style.width = `${Math.min(100, row.score / 1.5)}%`;
  text(score, Math.round(row.score));
  text(at, ago(row.at));
  attribute(at, 'title', row.at);
}

/** Totals over what passes: rows, resources, savings, and counts by severity and agent. */
function totals(filter) {
  const sums = { rows: 0, saves: 0, owners: new Set(), severity: {}, agent: {} };
  for (const row of store.rows.values()) {
    if (passes(row, filter, 'severity')) sums.severity[row.severity] = (sums.severity[row.severity] ?? 0) + 1;
    if (passes(row, filter, 'agent')) for (const name of new Set(row.why.map(([agent]) => agent))) sums.agent[name] = (sums.agent[name] ?? 0) + 1;
    if (!passes(row, filter)) continue;
    sums.rows += 1;
    sums.saves += row.saves;
    sums.owners.add(row.owner);
  }
  return sums;
}

/** The tiles over the table; the severities and agents on them are filters. */
function tiles(change) {
  const saves = h('strong', {});
  const year = h('span', {});
  const rows = h('strong', {});
  const owners = h('span', {});
  const toggle = (name, value, label, look) => {
    const n = h('span', { class: 'n' });
    const node = h('button', { type: 'button', class: `toggle ${look}`, 'aria-pressed': 'false', data: { [name]: value }, onclick: () => change({ [name]: node.getAttribute('aria-pressed') === 'true' ? '' : value }) }, h('i', { 'aria-hidden': 'true' }), h('span', {}, label), n);
    return { value, node, n };
  };
  const levels = SEVERITIES.map((name) => toggle('severity', name, capital(name), 'level'));
  const agents = AGENTS.slice(0, 4).map((name) => toggle('agent', name, capital(name), 'by'));
  const strips = SEVERITIES.map((name) => h('i', { data: { severity: name } }));
  const element = h('section', { class: 'tiles', 'aria-label': 'Totals' },
    h('div', { class: 'tile' }, h('span', { class: 'tile-label' }, 'Saves a month'), saves, year),
    h('div', { class: 'tile' }, h('span', { class: 'tile-label' }, 'Recommendations'), rows, owners),
    h('div', { class: 'tile wide' }, h('span', { class: 'tile-label' }, 'By severity'), h('div', { class: 'strip', 'aria-hidden': 'true' }, strips), h('div', { class: 'toggles', role: 'group', 'aria-label': 'Severity' }, levels.map(({ node }) => node))),
    h('div', { class: 'tile agents-tile' }, h('span', { class: 'tile-label' }, 'By agent'), h('div', { class: 'toggles', role: 'group', 'aria-label': 'Agent' }, agents.map(({ node }) => node))));
  const show = (filter) => {
    const sums = totals(filter);
    text(saves, money(sums.saves));
    text(year, `${money(sums.saves * 12)} a year`);
    text(rows, count(sums.rows));
    text(owners, `on ${plural(sums.owners.size, 'resource')}`);
    SEVERITIES.forEach((name, at) => { strips[at].style.flexGrow = sums.severity[name] ?? 0; });
    for (const [list, name] of [[levels, 'severity'], [agents, 'agent']]) {
      for (const { value, node, n } of list) {
        text(n, count(sums[name][value] ?? 0));
        attribute(node, 'aria-pressed', filter[name] === value ? 'true' : 'false');
      }
    }
  };
  return { element, show };
}

/** Distinct values of the rows at hand, for a choice. */
function choices(label, value, of, spell) {
  const found = [...new Set([...store.rows.values()].map(of))];
  if (value && !found.includes(value)) found.push(value);
  return [['', label], ...found.sort().map((name) => [name, spell(name)])];
}

/** The bar of filters; rebuilt when its choices change. */
function toolbar(place, filter, change) {
  const input = search('Search title, resource, rule, reason', filter.q, (q) => change({ q }));
  const rest = h('div', { class: 'toolbar-rest', id: 'filters' });
  const open = h('button', { class: 'button filters-button', type: 'button', 'aria-expanded': 'false', 'aria-controls': 'filters', onclick: () => {
    const wide = open.getAttribute('aria-expanded') !== 'true';
    attribute(open, 'aria-expanded', wide ? 'true' : 'false');
    rest.toggleAttribute('data-open', wide);
  } }, 'Filters');
  const profile = h('div', { class: 'segmented', role: 'group', 'aria-label': 'Profile' }, [['default', 'Default'], ['audit', 'Audit']].map(([value, label]) =>
    h('button', { type: 'button', data: { value }, title: value === 'audit' ? 'Every row: also superseded, vetoed and resolved' : 'What is open, one row a resource and cause', onclick: () => change({ profile: value, group: value === 'audit' ? 'none' : 'both', state: '' }) }, label)));
  put(place, input, open, rest);
  let known = '';
  return (now) => {
    const lists = [choices('All accounts', now.account, (row) => parts(row.owner).account, (name) => name), choices('All actions', now.action, (row) => row.action, capital)];
    const shape = JSON.stringify([lists, { ...now, q: '' }]);
    if (shape === known || rest.contains(document.activeElement) && rest.querySelector('select:focus') && known.length === shape.length) return;
    known = shape;
    const focused = document.activeElement?.getAttribute?.('aria-label');
    put(rest,
      select('Account', lists[0], now.account, (account) => change({ account })), select('Action', lists[1], now.action, (action) => change({ action })),
      now.profile === 'audit' && select('State', STATES, now.state, (state) => change({ state })),
      select('Group', GROUPS, now.group, (group) => change({ group })), select('Sort', SORTS, now.sort, (sort) => change({ sort })), profile);
    for (const button of profile.children) attribute(button, 'aria-pressed', button.dataset.value === now.profile ? 'true' : 'false');
    if (focused && document.activeElement === document.body) rest.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  };
}

function read(query) {
  const filter = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) if (query.has(name)) filter[name] = query.get(name);
  if (!query.has('group') && filter.profile === 'audit') filter.group = 'none';
  return worded(filter);
}
const worded = (filter) => ({ ...filter, words: filter.q.toLowerCase().split(/\s+/).filter(Boolean) });

function write(filter) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(DEFAULTS)) {
    const usual = name === 'group' && filter.profile === 'audit' ? 'none' : value;
    if (filter[name] !== usual) query.set(name, filter[name]);
  }
  const search = query.toString();
  list = `#/recommendations${search ? `?${search}` : ''}`;
  history.replaceState(null, '', list);
}

let list = '#/recommendations';
/** Where the list is as it was last left, with its filters. */
export const listHref = () => list;

/** Opens the view. */
export function open({ place, main, route }) {
  let filter = read(route.query);
  list = location.hash || list;
  const unfolded = new Set();
  let held = 0;
  let heldSince = 0;
  let shownItems = new Map();
  const change = (part) => {
    filter = worded({ ...filter, ...part });
    write(filter);
    route.hash = location.hash;
    rescope();
    main.scrollTop = Math.min(main.scrollTop, bar.offsetTop);
    arrange();
    say(`${plural(grid.items.length, 'row')} shown`);
  };
  /** Reads the rows the profile is about, unless they are held. */
  const rescope = () => {
    const scope = filter.profile === 'audit' ? 'all' : 'open';
    if (store.load.scope !== scope) store.reload(scope);
  };
  const toggle = (group) => {
    if (!unfolded.delete(group)) unfolded.add(group);
    arrange();
  };
  const grid = new Windowed({ scroller: main, caption: 'Recommendations, most urgent first', columns: COLUMNS, make: () => makeRow(toggle), patch: patchRow });
  const top = tiles(change);
  const bar = h('form', { class: 'toolbar', role: 'search', 'aria-label': 'Recommendations', onsubmit: (event) => event.preventDefault() });
  const tools = toolbar(bar, filter, change);
  const status = h('div', { class: 'under' });
  put(place, head('Recommendations', 'What to do about your resources, most urgent first, as the agents see it now.'), top.element, bar, grid.element, status);

  function arrange() {
    const { list: found } = items(filter, unfolded);
    const next = new Map();
    for (let at = 0; at < found.length; at += 1) {
      const known = shownItems.get(found[at].key);
      if (sameItem(known, found[at])) found[at] = known;
      next.set(found[at].key, found[at]);
    }
    shownItems = next;
    top.show(filter);
    tools(filter);
    grid.element.hidden = !found.length;
    put(status, below(found.length));
    grid.set(found);
  }

  function below(shown) {
    const { state, error, total } = store.load;
    if (state === 'failed' && !store.rows.size) return failure(error, () => store.reload());
    if (state === 'failed') return h('p', { class: 'note', role: 'alert' }, `The rest could not be read: ${error.message}. `, h('button', { class: 'button small', type: 'button', onclick: () => store.reload() }, 'Try again'));
    if (state === 'loading' && !shown) return loading('recommendations', 8);
    if (!store.rows.size) return empty('check', 'Nothing to recommend', 'No finding is open. Rows appear here by themselves within seconds of an event.', h('a', { class: 'button', href: '#/flow' }, 'See whether events flow'));
    if (!shown) return empty('search', 'Nothing matches', 'No recommendation passes these filters.', h('button', { class: 'button', type: 'button', onclick: () => change({ ...DEFAULTS, profile: filter.profile }) }, 'Clear the filters'));
    if (total > store.rows.size && state === 'ready') return h('p', { class: 'note' }, `${count(store.rows.size)} of ${count(total)} rows are held here, the most urgent first.`);
    return state === 'loading' ? h('p', { class: 'note' }, `${count(store.rows.size)} of ${count(total)} read …`) : null;
  }

  const calm = throttled(ORDER_MS, () => {
    const now = performance.now();
    const holding = now - held < HOLD_MS && now - heldSince < HOLD_MS_MAX;
    if (holding) calm();
    else arrange();
  });
  const hold = () => {
    const now = performance.now();
    if (now - held > HOLD_MS) heldSince = now;
    held = now;
  };
  grid.element.addEventListener('pointermove', hold, { passive: true });
  grid.element.addEventListener('keydown', hold);

  let loadState = store.load.state;
  let news = 0;
  let worst = '';
  const stop = store.onRows(({ ids, moved }) => {
    for (const id of ids) {
      grid.touch(id);
      const row = store.rows.get(id);
      if (row?.fresh && row.state === 'open' && row.revision === 1 && !shownItems.has(id)) {
        news += 1;
        if (!worst || badness(row.severity) > badness(worst)) worst = row.severity;
      }
    }
    if (!shownItems.size || loadState !== store.load.state || (store.load.state === 'loading' && moved)) {
      loadState = store.load.state;
      arrange();
    }
    else if (moved) calm();
    if (news) {
      say(`${plural(news, 'new recommendation')}, the worst ${words(worst)}`);
      news = 0;
      worst = '';
    }
  });
  arrange();
  if (store.load.scope) rescope();
  else if (filter.profile === 'audit') store.reload('all');

  return {
    title: 'Recommendations',
    keepsScroll: true,
    move: (step) => {
      hold();
      grid.move(step);
    },
    follow: (wanted) => {
      if (wanted.view !== 'recommendations' || wanted.rest.length) return false;
      filter = read(wanted.query);
      list = wanted.hash || list;
      rescope();
      arrange();
      return true;
    },
    close: () => {
      stop();
      calm.cancel();
      grid.close();
    },
  };
}
