// Dead letters: what could not be read, why, its bytes, and the way back to its topic.

import { attribute, h, put, throttled } from '../dom.js';
import { get, path, post } from '../api.js';
import { bytes, count, plural } from '../format.js';
import { chip, copy, dialog, empty, fact, failure, fetched, head, loading, say, search, table, time, toast } from '../parts/bits.js';
import { icon } from '../parts/icons.js';

const PAGE = 100;
const TYPING_MS = 250;
const letterHref = (letter) => `#/dead-letters/${letter.partition}/${letter.offset}`;

/** Asks, sends it back, and says how it went. */
function replay(letter, done) {
  const problem = h('div', { role: 'alert' });
  const send = h('button', { class: 'button primary', type: 'button', onclick: async () => {
    attribute(send, 'disabled', true);
    try {
      const { topic, partition } = await post(path('/dead-letters', letter.partition, letter.offset, 'replay'));
      node.close();
      toast(`Sent back to ${topic}, partition ${partition}`);
      done();
    } catch (error) {
      attribute(send, 'disabled', null);
      put(problem, h('p', { class: 'note bad' }, `It was not sent: ${error.message}`, error.hint ? `. ${error.hint}` : ''));
    }
  } }, icon('replay', 16), 'Replay it');
  const node = dialog('Replay this record?', h('p', {}, 'It goes back to ', h('code', {}, letter.topic), ', byte for byte. If it still cannot be read it comes back here.'), problem, h('div', { class: 'dialog-foot' }, h('button', { class: 'button', type: 'button', onclick: () => node.close() }, 'Cancel'), send));
  send.focus();
}

function line(letter, reload) {
  return h('tr', {},
    h('td', {}, h('a', { class: 'strong', href: letterHref(letter), data: { row: '' } }, letter.reason), h('small', { class: 'preview' }, letter.payload_preview || 'empty payload')),
    h('td', { class: 'wide-only' }, h('code', {}, letter.topic), h('small', {}, `${letter.origin_partition}@${letter.origin_offset}`)), h('td', { class: 'number wide-only' }, bytes(letter.bytes)), h('td', { class: 'nowrap' }, time(letter.at), letter.replays > 0 && h('small', {}, `replayed ${letter.replays}×`)),
    h('td', { class: 'action' }, h('button', { class: 'button small', type: 'button', 'aria-label': `Replay ${letter.partition}@${letter.offset}`, onclick: () => replay(letter, reload) }, icon('replay', 14), 'Replay')));
}

function list({ place, route }, leave) {
  let wanted = { q: route.query.get('q') ?? '' };
  let cursor = null;
  let asked = null;
  const body = h('tbody', { data: { rows: '' } });
  const frame = h('table', { class: 'table list', hidden: true }, h('caption', { class: 'unseen' }, 'Dead letters'), h('thead', {}, h('tr', {}, [['Reason', ''], ['From', 'wide-only'], ['Size', 'number wide-only'], ['When', ''], ['Replay', 'action']].map(([label, name]) => h('th', { scope: 'col', class: name }, label)))), body);
  const under = h('div', { class: 'under' });
  const tools = h('form', { class: 'toolbar', role: 'search', 'aria-label': 'Dead letters', onsubmit: (event) => event.preventDefault() });
  async function load(more = false) {
    asked?.abort();
    asked = new AbortController();
    const mine = asked;
    if (!body.children.length) put(under, loading('dead letters'));
    try {
      const answer = await get('/dead-letters', { ...wanted, limit: PAGE, cursor: more ? cursor : '' }, AbortSignal.any([mine.signal, leave.signal]));
      if (mine !== asked) return;
      cursor = answer.next;
      const rows = (answer.dead_letters ?? answer['dead-letters'] ?? []).map((letter) => line(letter, () => load()));
      if (more) body.append(...rows);
      else put(body, rows);
      frame.hidden = !body.children.length;
      say(plural(answer.total, 'dead letter'));
      put(under, !body.children.length ? wanted.q ? empty('search', 'Nothing matches', 'No dead letter has these words.') : empty('check', 'No dead letters', 'Every record could be read. What cannot be decoded is kept here with its reason, byte for byte.') : [h('p', { class: 'note' }, `${count(body.children.length)} of ${plural(answer.total, 'dead letter')}`), cursor && h('button', { class: 'button', type: 'button', onclick: () => load(true) }, 'Show more')]);
    } catch (error) {
      if (mine !== asked || leave.signal.aborted) return;
      frame.hidden = true;
      put(under, failure(error, () => load()));
    }
  }
  const soon = throttled(TYPING_MS, () => load());
  put(tools, search('Search reason, key or payload', wanted.q, (q) => {
    wanted = { q };
    history.replaceState(null, '', `#/dead-letters${q ? `?q=${encodeURIComponent(q)}` : ''}`);
    soon();
  }));
  put(place, head('Dead letters', 'Records that could not be read. They are kept as they came, with the reason, until their retention is over.'), tools, h('div', { class: 'table-frame' }, frame), under);
  load();
  return { title: 'Dead letters', keepsScroll: true, refresh: () => load() };
}

/** The payload, indented where it is JSON. */
function payload(letter) {
  if (letter.payload === null || letter.payload === undefined) return h('p', { class: 'quiet' }, 'It had no payload.');
  let shown = letter.payload;
  let note = null;
  if (letter.encoding === 'base64') note = 'It is no UTF-8 text; this is base64.';
  else {
    try {
      shown = JSON.stringify(JSON.parse(letter.payload), null, 2);
      note = 'Indented here; the record itself is kept as it came.';
    } catch {
      note = 'It is no JSON.';
    }
  }
  return [h('p', { class: 'note' }, note, copy(letter.payload, 'Copy the payload')), h('pre', { class: 'payload', tabindex: 0 }, h('code', {}, shown))];
}

function one({ place, route }, leave) {
  const [partition, offset] = route.rest;
  const load = () => fetched(place, 'the dead letter', () => get(path('/dead-letters', partition, offset), {}, leave.signal), (letter) => [
    h('a', { class: 'back', href: '#/dead-letters' }, icon('back', 16), 'Dead letters'),
    head(letter.reason, null, h('button', { class: 'button primary', type: 'button', onclick: () => replay(letter, load) }, icon('replay', 16), 'Replay')),
    h('div', { class: 'summary' }, h('code', {}, letter.topic), h('span', {}, `partition ${letter.origin_partition}, offset ${letter.origin_offset}`), time(letter.at), letter.replays > 0 && chip(`replayed ${letter.replays}×`)),
    h('dl', { class: 'facts' }, fact('Kept at', `${letter.partition}@${letter.offset}`), fact('Size', bytes(letter.bytes)), fact('Key', letter.key === null ? 'none' : h('code', {}, letter.key))),
    (letter.marks ?? []).length > 0 && h('ul', { class: 'lines' }, letter.marks.map((mark) => h('li', {}, chip(mark.what), h('span', {}, `by ${mark.by}`), time(mark.at)))),
    (letter.headers ?? []).length > 0 && table('Headers', [['Header', ''], ['Value', '']], letter.headers.map(([name, value]) => [h('code', {}, name), value])),
    h('h2', {}, 'Payload'), payload(letter)], leave.signal);
  load();
  return { title: `Dead letter ${partition}@${offset}`, back: '#/dead-letters' };
}

/** Opens the view. */
export function open(context) {
  const leave = new AbortController();
  const view = context.route.rest.length === 2 ? one(context, leave) : list(context, leave);
  return { ...view, close: () => leave.abort() };
}
