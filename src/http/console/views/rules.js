// The rules, and each rule's page.

import { h, put } from '../dom.js';
import { get, path } from '../api.js';
import { AGENTS, badness, capital, count, plural } from '../format.js';
import { agent, chip, empty, fact, fetched, head, ruleHref, say, search, severity } from '../parts/bits.js';
import { icon } from '../parts/icons.js';
import { markdown } from '../parts/markdown.js';

function lines(rules) {
  const groups = AGENTS.map((name) => [name, rules.filter((rule) => rule.agent === name)]).filter(([, own]) => own.length);
  return groups.map(([name, own]) => h('section', { class: 'section', 'aria-label': `Rules of ${name}` }, h('h2', { class: 'rule-group' }, agent(name), h('span', { class: 'quiet' }, plural(own.length, 'rule'))),
    h('ul', { class: 'rule-list' }, own.sort((a, b) => badness(b.severity) - badness(a.severity) || (a.id < b.id ? -1 : 1)).map((rule) => h('li', {}, severity(rule.severity), h('div', { class: 'rule-text' }, h('a', { href: ruleHref(rule.id), data: { row: '' } }, rule.title), h('small', {}, rule.id, rule.subjects.length ? ` · ${rule.subjects.join(', ')}` : '')), rule.open_findings > 0 ? chip(`${count(rule.open_findings)} open`, 'accent') : h('span', { class: 'quiet' }, 'none open'))))));
}

function list({ place, route }, leave) {
  let q = route.query.get('q') ?? '';
  const body = h('div', { data: { rows: '' } });
  const tools = h('form', { class: 'toolbar', role: 'search', 'aria-label': 'Rules', onsubmit: (event) => event.preventDefault() });
  put(place, head('Rules', 'What the agents look for. Each has a page: what it finds, why it matters, when it is wrong, what to do.'), tools, body);
  let all = [];
  const shown = () => {
    const found = all.filter((rule) => q.toLowerCase().split(/\s+/).every((word) => `${rule.id} ${rule.title} ${rule.agent} ${rule.subjects} ${rule.controls}`.toLowerCase().includes(word)));
    say(plural(found.length, 'rule'));
    return found.length ? lines(found) : empty('search', 'Nothing matches', 'No rule has these words.');
  };
  put(tools, search('Search rules, resource types, controls', q, (value) => {
    q = value;
    history.replaceState(null, '', `#/rules${q ? `?q=${encodeURIComponent(q)}` : ''}`);
    put(body, shown());
  }));
  fetched(body, 'the rules', () => get('/rules', {}, leave.signal), ({ rules }) => {
    all = rules;
    return shown();
  }, leave.signal);
  return { title: 'Rules', keepsScroll: true };
}

function codes(names) {
  return names.map((name) => h('code', {}, name));
}

function one({ place, route }, leave) {
  const [id] = route.rest;
  fetched(place, 'the rule', () => get(path('/rules', id), {}, leave.signal), (rule) => {
    document.title = `${rule.id}: ${rule.title} · Skyherd`;
    // The page's first heading is the title that stands above it already.
    const page = markdown(rule.page.replace(/^\s*# .*\n/, ''), 0);
    return [h('a', { class: 'back', href: '#/rules' }, icon('back', 16), 'Rules'), head(rule.title, null),
      h('div', { class: 'summary' }, severity(rule.severity), agent(rule.agent), chip(rule.id), h('a', { href: `#/recommendations?q=${encodeURIComponent(rule.id)}` }, plural(rule.open_findings, 'open finding'))),
      h('div', { class: 'detail-body' }, h('article', { class: 'prose' }, page),
        h('aside', { class: 'detail-side', 'aria-label': 'About the rule' }, h('dl', { class: 'facts stacked' },
          fact('Looks at', rule.subjects.length ? capital(rule.subjects.join(', ')) : 'Any resource'), rule.metrics.length > 0 && fact('Metrics', codes(rule.metrics)), rule.permissions.length > 0 && fact('Permissions', codes(rule.permissions)),
          rule.controls.length > 0 && fact('Controls', rule.controls.join(', ')), fact('In short', rule.remediation), fact('Since', rule.since))))];
  }, leave.signal);
  return { title: id, back: '#/rules' };
}

/** Opens the view. */
export function open(context) {
  const leave = new AbortController();
  const view = context.route.rest.length ? one(context, leave) : list(context, leave);
  return { ...view, close: () => leave.abort() };
}
