// Small pieces every view is made of.

import { attribute, h, put, throttled } from '../dom.js';
import { ago, capital, parts, when, words } from '../format.js';
import { icon } from './icons.js';

/** Least time between two announcements to a screen reader, in milliseconds. */
const SAY_MS = 4_000;
/** How long a message stays, in milliseconds. */
const TOAST_MS = 7_000;

/** A severity as a coloured word; colour is never alone. */
export function severity(name) {
  return h('span', { class: 'severity', data: { severity: name } }, h('i', { 'aria-hidden': 'true' }), capital(name));
}

/** An agent's name with its colour. */
export const agent = (name) => h('span', { class: 'agent', data: { agent: name } }, name);

/** A state as a word in a frame. */
export const chip = (text, tone = 'plain') => h('span', { class: 'chip', data: { tone } }, text);

const STATE_TONES = { open: 'accent', superseded: 'plain', vetoed: 'warn', resolved: 'good', cleared: 'good', expired: 'plain' };
/** A recommendation's or finding's state. */
export const state = (name) => chip(capital(name), STATE_TONES[name] ?? 'plain');

/** `5 min ago`; what is no span stands alone. */
const since = (at, now) => {
  const text = ago(at, now);
  return /^\d+(\.\d+)? (s|min|h|d)$/.test(text) ? `${text} ago` : text;
};

/** An instant as time ago, kept up to date by the shell; the exact instant on hover. */
export function time(at, prefix = '') {
  if (!at) return h('span', { class: 'quiet' }, '–');
  const exact = new Date(at);
  if (Number.isNaN(exact.getTime())) return h('span', {}, String(at));
  return h('time', { datetime: exact.toISOString(), title: `${when(at)} (${exact.toISOString()})`, data: { ago: exact.getTime(), prefix } }, prefix + since(at));
}

/** Brings every time ago below a node up to date. */
export function tick(root) {
  const now = Date.now();
  for (const node of root.querySelectorAll('time[data-ago]')) {
    const text = node.dataset.prefix + since(Number(node.dataset.ago), now);
    if (node.textContent !== text) node.textContent = text;
  }
}

/** Where a subject's page is. */
export const subjectHref = (subject) => `#/subjects/${String(subject).split('/').map(encodeURIComponent).join('/')}`;
/** Where a recommendation's page is. */
export const recommendationHref = (id) => `#/recommendations/${encodeURIComponent(id)}`;
/** Where a rule's page is. */
export const ruleHref = (id) => `#/rules/${encodeURIComponent(id)}`;

/** A subject as a link: its name, with account and region beside it. */
export function subject(id) {
  const { account, region, kind, name } = parts(id);
  return h('a', { class: 'subject', href: subjectHref(id) }, h('span', { class: 'subject-kind' }, words(kind)), h('span', { class: 'subject-name' }, name), h('span', { class: 'subject-place' }, `${account} · ${region}`));
}

/** The head of a view. `aside` stands at its end. */
export function head(title, lede, ...aside) {
  return h('header', { class: 'head' }, h('div', { class: 'head-text' }, h('h1', { tabindex: -1 }, title), lede && h('p', { class: 'lede' }, lede)), aside.length > 0 && h('div', { class: 'head-aside' }, aside));
}

/** A titled part of a page. */
let sections = 0;
export function section(title, ...children) {
  sections += 1;
  const id = `section-${sections}`;
  return h('section', { class: 'section', 'aria-labelledby': id }, h('h2', { id }, title), children);
}

/** What stands where nothing is. */
export function empty(symbol, title, text, ...more) {
  return h('div', { class: 'state' }, h('div', { class: 'state-icon' }, icon(symbol, 28)), h('p', { class: 'state-title' }, title), text && h('p', { class: 'state-text' }, text), more);
}

/** What stands where the API failed, with a way on. */
export function failure(error, retry) {
  const gone = error.status === 404;
  const closed = error.status === 401;
  return h('div', { class: 'state', data: { tone: 'bad' }, role: 'alert' },
    h('div', { class: 'state-icon' }, icon(error.away ? 'cloud' : 'warn', 28)),
    h('p', { class: 'state-title' }, gone ? 'There is no such thing here' : closed ? 'This needs a token' : error.away ? 'Skyherd does not answer' : 'This could not be read'),
    h('p', { class: 'state-text' }, capital(error.message ?? String(error)), error.hint && !closed ? h('span', { class: 'state-hint' }, capital(error.hint)) : null),
    retry && h('button', { class: 'button', type: 'button', onclick: retry }, closed ? 'Give a token' : 'Try again'));
}

/** Grey shapes while something loads. */
export function loading(what, rows = 6) {
  return h('div', { class: 'skeleton', role: 'status' }, h('span', { class: 'unseen' }, `Loading ${what}`), Array.from({ length: rows }, () => h('div', { class: 'bone', 'aria-hidden': 'true' })));
}

/** A label over a value. */
export const fact = (label, ...value) => h('div', { class: 'fact' }, h('dt', {}, label), h('dd', {}, value));

/** A plain table. `columns` are `[label, class]`; `lines` arrays of cells. */
export function table(caption, columns, lines, name = '') {
  return h('div', { class: 'table-frame', tabindex: 0, role: 'region', 'aria-label': caption },
    h('table', { class: `table ${name}` }, h('caption', { class: 'unseen' }, caption),
      h('thead', {}, h('tr', {}, columns.map(([label, kind]) => h('th', { scope: 'col', class: kind }, label)))),
      h('tbody', {}, lines.map((cells) => h('tr', {}, cells.map((cell, index) => h('td', { class: columns[index][1] }, cell)))))));
}

/** A labelled choice. `choices` are `[value, label]`. */
export function select(label, choices, value, change) {
  const node = h('select', { 'aria-label': label, onchange: () => change(node.value) }, choices.map(([key, text]) => h('option', { value: key, selected: key === value }, text)));
  return h('span', { class: 'select' }, node, icon('down', 14));
}

/** A search field: `/` goes to it, escape empties it. */
export function search(label, value, change) {
  const input = h('input', { type: 'search', value, placeholder: label, 'aria-label': label, autocomplete: 'off', spellcheck: 'false', 'aria-keyshortcuts': '/', data: { search: '' }, oninput: () => change(input.value) });
  return h('div', { class: 'search' }, icon('search', 16), input, h('kbd', { 'aria-hidden': 'true' }, '/'));
}

/** Says something to a screen reader, politely and not often; what came between is dropped. */
let waiting = '';
const speak = throttled(SAY_MS, () => {
  document.getElementById('said').textContent = waiting;
});
export function say(text) {
  waiting = text;
  speak();
}

/** A message that goes away by itself. */
export function toast(text, tone = 'plain') {
  const close = () => node.remove();
  const node = h('div', { class: 'toast', data: { tone }, role: tone === 'bad' ? 'alert' : 'status' }, icon(tone === 'bad' ? 'warn' : 'check', 16), h('span', {}, text), h('button', { class: 'icon-button', type: 'button', 'aria-label': 'Close message', onclick: close }, icon('close', 14)));
  document.getElementById('toasts').append(node);
  setTimeout(close, TOAST_MS);
}

/** A modal dialog that is gone once closed. */
export function dialog(title, ...children) {
  const node = h('dialog', { 'aria-label': title }, h('header', { class: 'dialog-head' }, h('h2', {}, title), h('button', { class: 'icon-button', type: 'button', 'aria-label': 'Close', onclick: () => node.close() }, icon('close'))), h('div', { class: 'dialog-body' }, children));
  node.addEventListener('close', () => node.remove());
  node.addEventListener('click', (event) => event.target === node && node.close());
  document.body.append(node);
  node.showModal();
  return node;
}

/** Copies text and says so. */
export function copy(value, label = 'Copy') {
  const run = async () => {
    try {
      await navigator.clipboard.writeText(value);
      toast('Copied');
    } catch {
      toast('The browser did not allow copying', 'bad');
    }
  };
  return h('button', { class: 'icon-button', type: 'button', 'aria-label': label, title: label, onclick: run }, icon('copy', 15));
}

/** Loads into a node: skeleton, then what `show` makes of the answer, or the failure with a retry. */
export async function fetched(node, what, read, show, signal) {
  const attempt = async () => {
    put(node, loading(what));
    attribute(node, 'aria-busy', 'true');
    try {
      const value = await read();
      if (!signal?.aborted) put(node, show(value));
    } catch (error) {
      if (!signal?.aborted) put(node, failure(error, attempt));
    }
    attribute(node, 'aria-busy', null);
  };
  await attempt();
}
