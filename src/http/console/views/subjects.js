// Every resource some agent remembers, searched by the server.

import { attribute, h, put, throttled } from '../dom.js';
import { get } from '../api.js';
import { capital, count, parts, plural } from '../format.js';
import { agent, empty, failure, head, loading, say, search, select, severity, subjectHref } from '../parts/bits.js';

const PAGE = 100;
const TYPING_MS = 250;

function line({ subject, agents, open_findings: findings, muted_findings: muted, worst, recommendations }) {
  const { account, region, kind, name } = parts(subject);
  return h('tr', {},
    h('td', {}, h('a', { class: 'strong', href: subjectHref(subject), data: { row: '' } }, name), h('small', {}, capital(kind))),
    h('td', { class: 'quiet' }, account), h('td', { class: 'quiet wide-only' }, region), h('td', { class: 'wide-only' }, h('span', { class: 'row-agents' }, agents.map(agent))),
    h('td', {}, worst ? severity(worst) : h('span', { class: 'quiet' }, 'clean')), h('td', { class: 'number' }, findings ? count(findings) : h('span', { class: 'quiet' }, '–'), muted > 0 && h('small', {}, `${count(muted)} muted`)), h('td', { class: 'number wide-only' }, recommendations ? count(recommendations) : h('span', { class: 'quiet' }, '–')));
}

/** Opens the view. */
export function open({ place, route }) {
  let wanted = { q: route.query.get('q') ?? '', kind: route.query.get('kind') ?? '', account: route.query.get('account') ?? '' };
  let asked = null;
  let cursor = null;
  const leave = new AbortController();
  const body = h('tbody', { data: { rows: '' } });
  const table = h('table', { class: 'table list', hidden: true }, h('caption', { class: 'unseen' }, 'Subjects'), h('thead', {}, h('tr', {}, [['Resource', ''], ['Account', ''], ['Region', 'wide-only'], ['Remembered by', 'wide-only'], ['Worst', ''], ['Findings', 'number'], ['Recommendations', 'number wide-only']].map(([label, name]) => h('th', { scope: 'col', class: name }, label)))), body);
  const under = h('div', { class: 'under' });
  const kinds = new Set(['instance', 'volume', 'security-group', 'auto-scaling-group']);
  const tools = h('form', { class: 'toolbar', role: 'search', 'aria-label': 'Subjects', onsubmit: (event) => event.preventDefault() });

  async function load(more = false) {
    asked?.abort();
    asked = new AbortController();
    const mine = asked;
    if (!more) {
      cursor = null;
      attribute(table, 'aria-busy', 'true');
      if (!body.children.length) put(under, loading('subjects'));
    }
    try {
      const answer = await get('/subjects', { ...wanted, limit: PAGE, cursor: more ? cursor : '' }, AbortSignal.any([mine.signal, leave.signal]));
      if (mine !== asked) return;
      cursor = answer.next;
      if (more) body.append(...answer.subjects.map(line));
      else put(body, answer.subjects.map(line));
      for (const { subject } of answer.subjects) kinds.add(parts(subject).kind);
      table.hidden = !body.children.length;
      say(plural(answer.total, 'subject'));
      const bare = !wanted.q && !wanted.kind && !wanted.account;
      put(under, !body.children.length ? bare ? empty('subjects', 'No resource is known yet', 'A resource appears once an agent has heard of it, from inventory, metrics or events.') : empty('search', 'Nothing matches', 'No known resource has these words.') : [h('p', { class: 'note' }, `${count(body.children.length)} of ${plural(answer.total, 'subject')}`), cursor && h('button', { class: 'button', type: 'button', onclick: () => load(true) }, 'Show more')]);
    } catch (error) {
      if (mine !== asked || leave.signal.aborted) return;
      table.hidden = true;
      put(under, failure(error, () => load()));
    }
    attribute(table, 'aria-busy', null);
  }
  const soon = throttled(TYPING_MS, () => load());
  const change = (part) => {
    wanted = { ...wanted, ...part };
    const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString();
    history.replaceState(null, '', `#/subjects${query ? `?${query}` : ''}`);
    soon();
  };
  put(tools, search('Search by id, account, region or type', wanted.q, (q) => change({ q })), select('Type', [['', 'All types'], ...[...kinds].map((kind) => [kind, capital(kind)])], wanted.kind, (kind) => change({ kind })));
  put(place, head('Subjects', 'Every resource the agents remember. Open one for its numbers, its history, and why each rule speaks or is silent.'), tools, h('div', { class: 'table-frame' }, table), under);
  load();
  return { title: 'Subjects', keepsScroll: true, refresh: () => load(), close: () => {
    soon.cancel();
    leave.abort();
  } };
}
