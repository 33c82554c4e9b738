// Ask the agents, and watch the answer come together.

import { attribute, h, put, throttled } from '../dom.js';
import { get, path, post } from '../api.js';
import { capital, count, parts, plural, span } from '../format.js';
import { on } from '../live.js';
import { agent, chip, empty, failure, fetched, head, say, section, subject, time } from '../parts/bits.js';
import { icon } from '../parts/icons.js';
import * as store from '../store.js';

const KINDS = [['assess', 'Assess', 'Everything known'], ['optimize', 'Optimize', 'What could be better for less'], ['security', 'Security', 'What is unsafe'], ['compliance', 'Compliance', 'Which controls fail'], ['cost', 'Cost', 'What it costs']];
const WAITS = [['2000', '2 s'], ['10000', '10 s'], ['60000', '1 min'], ['600000', '10 min']];
const STATES = { waiting: ['Waiting', 'warn'], complete: ['Complete', 'good'], partial: ['Partial', 'bad'] };
/** Should the stream be silent, a waiting answer is asked for this often, in milliseconds. */
const POLL_MS = 1_000;
const FINDINGS_MAX = 30;

const stateChip = (name) => chip(...(STATES[name] ?? [capital(name), 'plain']));
const about = (row) => (row.subject ? row.subject : row.accounts.length === 1 ? row.accounts[0] : plural(row.accounts.length, 'account'));
const hrefOf = (row) => `#/ask/${encodeURIComponent(row.id)}`;

function form(route, go) {
  const accounts = [...new Set([...store.rows.values()].map((row) => parts(row.owner).account))].sort();
  const asked = route.query.get('subject') ?? route.query.get('account') ?? '';
  const input = h('input', { id: 'ask-about', type: 'text', value: asked || accounts[0] || '', required: true, autocomplete: 'off', spellcheck: 'false', list: 'ask-accounts', 'aria-describedby': 'ask-hint', data: { search: '' }, placeholder: '111122223333' });
  const problem = h('div', { role: 'alert' });
  const send = h('button', { class: 'button primary', type: 'submit' }, 'Ask', icon('arrow', 16));
  const choice = (name, list, chosen) => list.map(([value, label, more]) => h('label', { class: 'choice' }, h('input', { type: 'radio', name, value, checked: value === chosen }), h('span', {}, label, more && h('small', {}, more))));
  const node = h('form', { class: 'card ask-form', onsubmit: async (event) => {
    event.preventDefault();
    const names = input.value.split(/[\s,]+/).filter(Boolean);
    const fields = new FormData(node);
    const question = { kind: fields.get('kind'), deadline_ms: Number(fields.get('wait')) };
    if (names.length === 1 && names[0].includes('/')) question.subject = names[0];
    else question.accounts = names;
    attribute(send, 'disabled', true);
    put(problem);
    try {
      const { id } = await post('/requests', question);
      go(`#/ask/${encodeURIComponent(id)}`);
    } catch (error) {
      put(problem, h('p', { class: 'note bad' }, capital(error.message), error.hint ? `. ${capital(error.hint)}` : ''));
    }
    attribute(send, 'disabled', null);
  } },
  h('fieldset', {}, h('legend', {}, 'What'), h('div', { class: 'choices' }, choice('kind', KINDS, 'assess'))),
  h('div', { class: 'field' }, h('label', { for: 'ask-about' }, 'About'), input, h('datalist', { id: 'ask-accounts' }, accounts.map((name) => h('option', { value: name }))), h('small', { id: 'ask-hint' }, 'One or more accounts, or one resource as account/region/resource.')),
  h('fieldset', {}, h('legend', {}, 'Answer within'), h('div', { class: 'choices row' }, choice('wait', WAITS, '10000'))),
  problem, h('div', { class: 'ask-send' }, send, h('small', {}, 'Whoever has not answered by then is named.')));
  return node;
}

function lines(rows) {
  return h('ul', { class: 'lines', data: { rows: '' } }, rows.map((row) => h('li', {}, stateChip(row.state), h('a', { href: hrefOf(row), data: { row: '' } }, `${capital(row.kind)} ${about(row)}`), h('span', { class: 'quiet' }, row.asked.length ? `${count(row.answered.length)} of ${count(row.asked.length)} answered` : 'given out'), time(row.at))));
}

function ask({ place, route, go }, leave) {
  const recent = h('div', {});
  put(place, head('Ask', 'Put a question to the agents. Each answers for its part; the coordinator joins the answers.'), h('div', { class: 'ask' }, form(route, go), section('Asked before', recent)));
  const load = () => get('/requests', { limit: 30 }, leave.signal);
  const show = ({ requests }) => (requests.length ? lines(requests) : empty('ask', 'Nothing was asked yet', 'Questions and their answers stay here for a week.'));
  fetched(recent, 'earlier questions', load, show, leave.signal);
  const refresh = throttled(1_000, async () => {
    try {
      put(recent, show(await load()));
    } catch {
      // What was there stays.
    }
  });
  return { title: 'Ask', refresh, stop: on('request', refresh) };
}

function progress(row) {
  const answered = new Set(row.answered.map((one) => `${one.account} ${one.agent}`));
  const accounts = [...new Set(row.asked.map((one) => one.account))];
  const share = row.asked.length ? row.answered.length / row.asked.length : 0;
  return h('div', { class: 'card progress' },
    h('div', { class: 'progress-head' }, stateChip(row.state), h('strong', {}, row.asked.length ? `${count(row.answered.length)} of ${count(row.asked.length)} answered` : 'The coordinator gives out the tasks …'), h('span', { class: 'quiet' }, row.state === 'waiting' ? `due in ${span(Math.max(0, Date.parse(row.deadline) - Date.now()))}` : '')),
    h('div', { class: 'meter', data: { state: row.state }, role: 'progressbar', 'aria-label': 'Answered', 'aria-valuemin': 0, 'aria-valuemax': row.asked.length || 1, 'aria-valuenow': row.answered.length }, h('i', { vars: { '--share': `${share * 100}%` } })),
    accounts.map((account) => h('div', { class: 'progress-line' }, h('span', { class: 'quiet' }, account), row.asked.filter((one) => one.account === account).map((one) => {
      const done = answered.has(`${account} ${one.agent}`);
      const missing = !done && row.state !== 'waiting';
      return h('span', { class: 'part', data: { state: done ? 'done' : missing ? 'missing' : 'waiting' } }, icon(done ? 'check' : missing ? 'close' : 'clock', 14), agent(one.agent), h('span', { class: 'unseen' }, done ? 'has answered' : missing ? 'did not answer' : 'has yet to answer'));
    }))),
    row.state === 'partial' && h('p', { class: 'note bad' }, `By the deadline ${plural(row.missing.length, 'part')} had not come: ${row.missing.map((one) => `${one.agent} for ${one.account}`).join(', ')}.`));
}

function answers(row) {
  if (!row.answer.length) return null;
  return section('Answer', row.answer.map((one) => h('article', { class: 'card answer' }, h('header', { class: 'answer-head' }, h('h3', {}, one.account), chip(capital(one.status), one.status === 'done' ? 'good' : 'warn'), time(one.at)), one.error && h('p', { class: 'note bad' }, one.error), one.answer && [h('p', { class: 'answer-text' }, one.answer.summary), one.answer.findings.length > 0 && findings(one.answer.findings)])));
}

function findings(list) {
  const node = h('ul', { class: 'answer-findings' }, list.slice(0, FINDINGS_MAX).map(([id, reason]) => h('li', { data: { finding: id } }, reason)));
  // Ids alone say little: titles and links follow as soon as they are read.
  for (const line of node.children) {
    get(path('/findings', line.dataset.finding)).then(({ finding }) => put(line, h('strong', {}, finding.title), h('span', {}, finding.why), subject(finding.subject))).catch(() => undefined);
  }
  return [node, list.length > FINDINGS_MAX && h('p', { class: 'note' }, `and ${count(list.length - FINDINGS_MAX)} more`)];
}

function watch({ place, route }, leave) {
  const [id] = route.rest;
  let said = '';
  let shown = '';
  const body = h('div', {});
  const title = head('Answer', null);
  put(place, h('a', { class: 'back', href: '#/ask' }, icon('back', 16), 'Ask'), title, body);
  const show = (row) => {
    put(title.querySelector('h1'), `${capital(row.kind)} ${about(row)}`);
    const word = `${capital(row.state)}, ${row.answered.length} of ${row.asked.length} answered`;
    if (word !== said) say(word);
    said = word;
    const now = JSON.stringify(row);
    if (row.state !== 'waiting' && now === shown) return;
    shown = now;
    put(body, h('div', { class: 'summary' }, row.subject ? subject(row.subject) : h('span', {}, row.accounts.join(', ')), time(row.at, 'asked ')), progress(row), answers(row));
    if (row.state !== 'waiting') clearInterval(timer);
  };
  let first = true;
  const read = async () => {
    try {
      show(await get(path('/requests', id), {}, leave.signal));
      first = false;
    } catch (error) {
      // A question just asked may be read before the topic shows it.
      const early = error.status === 404 && performance.now() - began < 5_000;
      if (first && !early && !leave.signal.aborted) {
        put(body, failure(error, read));
        clearInterval(timer);
      }
    }
  };
  const began = performance.now();
  const timer = setInterval(read, POLL_MS);
  read();
  const stop = on('request', (row) => row?.id === id && (row.asked ? show(row) : read()));
  return { title: 'Answer', back: '#/ask', refresh: read, stop: () => {
    stop();
    clearInterval(timer);
  } };
}

/** Opens the view. */
export function open(context) {
  const leave = new AbortController();
  const { stop, ...view } = context.route.rest.length ? watch(context, leave) : ask(context, leave);
  return { ...view, close: () => {
    stop();
    leave.abort();
  } };
}
