// The frame around the views: where one is, how the link stands, colours, keys.

import { attribute, h, put, text } from './dom.js';
import { ApiError, onTokenWanted, setToken } from './api.js';
import { count, timeOfDay } from './format.js';
import * as keys from './keys.js';
import * as live from './live.js';
import * as store from './store.js';
import { dialog, empty, failure, tick } from './parts/bits.js';
import { icon } from './parts/icons.js';
import * as recommendations from './views/recommendations.js';

const VIEWS = [
  ['recommendations', 'Recommendations', 'recommendations'],
  ['subjects', 'Subjects', 'subjects'],
  ['agents', 'Agents', 'agents'],
  ['rules', 'Rules', 'rules'],
  ['dead-letters', 'Dead letters', 'dead-letters'],
  ['flow', 'Flow', 'topology'],
  ['ask', 'Ask', 'ask'],
];
/** A link lost for less than this, in milliseconds, is not worth a word. */
const BLIP_MS = 1_200;
const TICK_MS = 10_000;

const main = document.getElementById('main');
const scrolls = new Map();
let open = null;
let route = null;

function parse() {
  const [place, search = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const names = place.split('/').map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { view: names[0] || 'recommendations', rest: names.slice(1).filter(Boolean), query: new URLSearchParams(search), hash: location.hash };
}

const modules = {
  recommendations: async ({ rest }) => (rest.length ? import('./views/recommendation.js') : recommendations),
  subjects: async ({ rest }) => (rest.length ? import('./views/subject.js') : import('./views/subjects.js')),
  agents: () => import('./views/agents.js'),
  rules: () => import('./views/rules.js'),
  'dead-letters': () => import('./views/dead-letters.js'),
  flow: () => import('./views/topology.js'),
  ask: () => import('./views/ask.js'),
};

/** Fetches the other views while nothing else is to do, so that they are there when the service is not. */
function fetchAhead() {
  const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 1_000));
  idle(() => {
    for (const load of Object.values(modules)) {
      for (const rest of [[], ['']]) load({ rest }).catch(() => undefined);
    }
  });
}

async function show() {
  const wanted = parse();
  const first = route === null;
  if (route) scrolls.set(route.hash, main.scrollTop);
  if (open?.follow?.(wanted)) {
    route = wanted;
    return;
  }
  route = wanted;
  open?.close?.();
  open = null;
  for (const link of document.querySelectorAll('.nav a')) attribute(link, 'aria-current', link.dataset.view === wanted.view ? 'page' : null);
  const place = h('div', { class: 'page' });
  put(main, banner, place);
  main.scrollTop = 0;
  const load = modules[wanted.view];
  try {
    if (!load) throw Object.assign(new Error(`no view is called ${wanted.view}`), { status: 404 });
    const view = await load(wanted).catch(() => {
      throw new ApiError(0, { title: 'this part of the console could not be fetched', hint: 'skyherd may be restarting' });
    });
    if (route !== wanted) return;
    open = view.open({ place, main, route: wanted, go });
    document.title = `${open.title} · Skyherd`;
    main.scrollTop = open.keepsScroll ? scrolls.get(wanted.hash) ?? 0 : 0;
    if (!first) place.querySelector('h1')?.focus({ preventScroll: true });
  } catch (error) {
    if (route !== wanted) return;
    document.title = 'Skyherd';
    put(place, error.status === 404 ? empty('warn', 'There is no such page', error.message, h('a', { class: 'button', href: '#/recommendations' }, 'Recommendations')) : failure(error, error.away && live.link.state === 'live' ? () => location.reload() : show));
  }
}

function go(hash) {
  location.hash = hash;
}

// ------------------------------------------------------------ the link

const bannerText = h('span', {});
const banner = h('div', { class: 'banner', hidden: true }, icon('cloud', 18), bannerText, h('button', { class: 'button small', type: 'button', onclick: () => live.retry() }, 'Try now'));
let lost = 0;

function linkShown() {
  const { state, since, retryAt } = live.link;
  const shown = document.getElementById('link-state');
  const names = { connecting: 'Connecting', live: 'Live', stale: 'Offline', refused: 'Needs a token' };
  shown.dataset.state = state;
  text(document.getElementById('link-text'), names[state]);
  const stale = state === 'stale' || state === 'refused';
  if (!stale) lost = 0;
  else if (!lost) lost = Date.now();
  const tell = stale && Date.now() - lost >= BLIP_MS;
  document.documentElement.toggleAttribute('data-stale', tell);
  const hidden = !tell || state === 'refused';
  if (banner.hidden !== hidden) {
    banner.hidden = hidden;
    document.getElementById('said').textContent = hidden ? 'Connected again' : 'Not connected. What is shown may be out of date.';
  }
  if (!hidden) {
    const wait = Math.max(0, Math.ceil((retryAt - Date.now()) / 1_000));
    const held = since ? `What you see is from ${timeOfDay(since)}.` : 'Nothing has been heard yet.';
    text(bannerText, `Not connected. ${held} ${wait ? `Trying again in ${wait} s.` : 'Trying again …'}`);
  }
}

// ------------------------------------------------------------ colours

const THEMES = [['system', 'As the system'], ['light', 'Light'], ['dark', 'Dark']];
let chosen = document.documentElement.dataset.theme ?? 'system';
const themeButton = h('button', { class: 'side-button', type: 'button', onclick: () => theme() });

function theme(next = THEMES[(THEMES.findIndex(([name]) => name === chosen) + 1) % THEMES.length][0]) {
  chosen = next;
  if (chosen === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  try {
    localStorage.setItem('skyherd.theme', chosen);
  } catch {
    // It then holds until the page is left.
  }
  themeShown();
}

function themeShown() {
  const label = THEMES.find(([name]) => name === chosen)[1];
  put(themeButton, icon(chosen, 18), h('span', {}, label));
  attribute(themeButton, 'aria-label', `Colours: ${label}. Change`);
}

// ------------------------------------------------------------ tokens

let asking = false;
function askToken(code) {
  if (asking) return;
  asking = true;
  const input = h('input', { type: 'password', autocomplete: 'off', 'aria-label': 'Bearer token', required: true, autofocus: true });
  const node = dialog('A token is needed',
    code === 'token_unknown' && h('p', { class: 'note bad', role: 'alert' }, 'The token given does not count: it is unknown or expired.'),
    h('p', {}, 'This address answers only to a bearer token. ', h('code', {}, 'skyherd token NAME'), ' makes one. It is kept in this tab alone.'),
    h('form', { class: 'token', onsubmit: (event) => {
      event.preventDefault();
      setToken(input.value.trim());
      node.close();
      store.reload();
      show();
    } }, input, h('button', { class: 'button primary', type: 'submit' }, 'Use it')));
  node.addEventListener('close', () => { asking = false; });
}

// ------------------------------------------------------------ start

function build() {
  const items = VIEWS.map(([view, label, symbol]) => h('li', {}, h('a', { href: `#/${view}`, data: { view } }, icon(symbol), h('span', {}, label), view === 'recommendations' && h('span', { class: 'nav-count', id: 'nav-count' }))));
  document.getElementById('nav').className = 'nav';
  put(document.getElementById('nav'), items);
  put(document.getElementById('side-foot'), themeButton, h('button', { class: 'side-button', type: 'button', onclick: () => keys.help(), 'aria-keyshortcuts': '?' }, icon('help', 18), h('span', {}, 'Keys'), h('kbd', { 'aria-hidden': 'true' }, '?')));
  themeShown();
  const side = document.getElementById('side');
  const menu = document.getElementById('menu');
  const drawer = (wide) => {
    side.toggleAttribute('data-open', wide);
    attribute(menu, 'aria-expanded', wide ? 'true' : 'false');
    if (wide) side.querySelector('a')?.focus();
  };
  attribute(menu, 'aria-haspopup', null);
  attribute(menu, 'aria-controls', 'side');
  attribute(menu, 'aria-expanded', 'false');
  menu.addEventListener('click', () => drawer(!side.hasAttribute('data-open')));
  side.addEventListener('click', (event) => event.target.closest('a') && drawer(false));
  main.addEventListener('pointerdown', () => drawer(false));
  side.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && side.hasAttribute('data-open')) {
      event.preventDefault();
      drawer(false);
      menu.focus();
    }
  });
  document.getElementById('skip').addEventListener('click', () => main.focus());
}

build();
onTokenWanted(askToken);
addEventListener('hashchange', show);
keys.listen({ view: () => open, go, theme });
live.onLink(linkShown);
setInterval(linkShown, 500);
setInterval(() => tick(main), TICK_MS);
live.on('back', () => open?.refresh?.());
live.on('reset', () => open?.refresh?.());
store.onRows(() => {
  let n = 0;
  for (const row of store.rows.values()) n += row.state === 'open' ? 1 : 0;
  text(document.getElementById('nav-count'), n ? count(n) : '');
});
show();
store.reload().then(fetchAhead);
