// One resource: what each agent remembers of it, plotted; what is open on it; what happened; and why
// each rule speaks or is silent.

import { h, put, throttled } from '../dom.js';
import { get, path } from '../api.js';
import { capital, money, parts, plural, words } from '../format.js';
import { on } from '../live.js';
import { plot } from '../parts/chart.js';
import { agent, chip, copy, empty, fact, failure, fetched, head, loading, recommendationHref, ruleHref, section, severity, state, table, time } from '../parts/bits.js';
import { icon } from '../parts/icons.js';
import { findingCard, timeline } from './recommendation.js';

const REFRESH_MS = 2_000;
/** Observations shown before the rest is asked for. */
const OBSERVED = 12;
const VERDICTS = {
  open: ['Open', 'bad'], clear: ['Clear', 'good'], no_data: ['No data', 'plain'], no_permission: ['No permission', 'warn'], muted: ['Muted', 'plain'],
  vetoed: ['Vetoed', 'warn'], superseded: ['Superseded', 'plain'], below_threshold: ['Below the threshold', 'good'], not_applicable: ['Does not apply', 'plain'],
};

function observed(list) {
  if (!list.length) return h('p', { class: 'quiet' }, 'Nothing was noted.');
  const line = (one) => h('li', {}, time(one.at), h('code', {}, one.what), h('span', {}, one.value));
  const shown = h('ul', { class: 'observed' }, list.slice(0, OBSERVED).map(line));
  const rest = list.length - OBSERVED;
  const more = rest > 0 && h('button', { class: 'button small', type: 'button', onclick: () => {
    shown.append(...list.slice(OBSERVED).map(line));
    more.remove();
  } }, `${plural(rest, 'more')}`.replace('mores', 'more'));
  return [shown, more];
}

function memory(part) {
  const facts = Object.entries(part.facts ?? {});
  return h('article', { class: 'card memory', data: { agent: part.agent } },
    h('header', { class: 'memory-head' }, agent(part.agent), part.state && h('span', { class: 'quiet' }, `${part.state[0]} since `, time(part.state[1]))),
    facts.length > 0 && h('dl', { class: 'facts tight' }, facts.map(([name, value]) => fact(capital(name), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) ? time(value) : value))),
    part.series.length > 0 && h('div', { class: 'plots' }, part.series.map((one) => plot({ name: one.step === 'day' ? `${one.name}, a day` : one.name, unit: one.unit, points: one.points, tone: part.agent }))),
    h('h3', {}, 'Recent observations'), observed(part.observations));
}

function whyTable({ rules }) {
  if (!rules.length) return h('p', { class: 'quiet' }, 'No rule judges such resources.');
  const order = Object.keys(VERDICTS);
  const lines = [...rules].sort((a, b) => order.indexOf(a.verdict) - order.indexOf(b.verdict)).map((one) => {
    const [label, tone] = VERDICTS[one.verdict] ?? [words(one.verdict), 'plain'];
    const gap = one.distance !== null && one.distance !== undefined && one.distance !== '' ? h('small', {}, `off by ${one.distance}`) : null;
    return [h('span', {}, h('a', { href: ruleHref(one.rule) }, one.rule), h('small', {}, one.title ?? '')), chip(label, tone), h('span', { class: 'why-text' }, one.why), one.measured ?? h('span', { class: 'quiet' }, '–'), h('span', {}, one.threshold ?? h('span', { class: 'quiet' }, '–'), gap)];
  });
  return table('Why each rule speaks or is silent', [['Rule', ''], ['Says', ''], ['Because', ''], ['Measured', ''], ['Threshold', '']], lines, 'why');
}

function recommended(rows) {
  return h('ul', { class: 'lines', data: { rows: '' } }, rows.map((row) => h('li', {}, severity(row.severity), h('a', { href: recommendationHref(row.id), data: { row: '' } }, row.title), row.state !== 'open' && state(row.state), h('span', { class: 'number' }, row.savings ? money(row.savings.monthly) : ''))));
}

/** Opens the view. */
export function open({ place, route }) {
  const id = route.rest.join('/');
  const { account, region, kind, name } = parts(id);
  const leave = new AbortController();
  const reasons = h('div', {}, loading('reasons', 3));
  const body = h('div', {});
  put(place, h('a', { class: 'back', href: '#/subjects' }, icon('back', 16), 'Subjects'), head(name || id, null),
    h('div', { class: 'summary' }, chip(capital(kind)), h('span', {}, account), h('span', {}, region), copy(id, 'Copy the subject'), h('a', { class: 'button small', href: `#/ask?subject=${encodeURIComponent(id)}` }, 'Ask about it')), body);

  const show = (story) => {
    const held = story.findings.filter((finding) => finding.status === 'open');
    const open = held.filter((finding) => !finding.exemption);
    const muted = held.filter((finding) => finding.exemption);
    const closed = story.findings.length - held.length;
    const bare = !story.memory.length && !story.findings.length && !story.recommendations.length;
    if (bare) return empty('subjects', 'Nothing is known of it', 'No agent of this process has heard of this resource.');
    return h('div', { class: 'detail-body' },
      h('div', { class: 'detail-main' },
        story.recommendations.length > 0 && section('Recommendations', recommended(story.recommendations)),
        section('Open findings', open.length ? open.map((finding) => findingCard(finding, null)) : h('p', { class: 'quiet' }, closed ? `None. ${plural(closed, 'finding')} ${closed === 1 ? 'is' : 'are'} closed.` : 'None.')),
        muted.length > 0 && section('Muted findings', muted.map((finding) => findingCard(finding, null))),
        section('What the agents remember', story.memory.length ? story.memory.map(memory) : h('p', { class: 'quiet' }, 'Nothing in this process.')),
        section('Why, and why not', reasons)),
      h('div', { class: 'detail-side' }, section('History', timeline(story.history))));
  };
  const read = () => get(path('/subjects', id), {}, leave.signal);
  fetched(body, 'the subject', read, show, leave.signal);
  const explain = async () => {
    try {
      put(reasons, whyTable(await get(path('/why', id), {}, leave.signal)));
    } catch (error) {
      if (!leave.signal.aborted) put(reasons, failure(error, explain));
    }
  };
  explain();
  const refresh = throttled(REFRESH_MS, async () => {
    try {
      const story = await read();
      const main = place.closest('main');
      const { scrollTop } = main;
      put(body, show(story));
      main.scrollTop = scrollTop;
      explain();
    } catch {
      // The page stays as it was; the banner says that the link is gone.
    }
  });
  const stops = [on('finding', (finding) => finding?.subject === id && refresh()), on('recommendation', (row) => row?.owner === id && refresh())];
  return { title: name || id, back: '#/subjects', refresh, close: () => {
    for (const stop of stops) stop();
    refresh.cancel();
    leave.abort();
  } };
}
