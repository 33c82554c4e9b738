// The flow as a picture: topics and agents in columns, lines as thick as what flows through them, and
// the same as a table.

import { attribute, h, put, s, text } from '../dom.js';
import { get } from '../api.js';
import { short } from '../format.js';
import { empty, fetched, head, say, section, table } from '../parts/bits.js';

/** How often rates are read, in milliseconds. */
const RATE_MS = 2_000;
const WIDTH = 132;
const TALL = 40;
const GAP = 20;
const COLUMN = 230;
const PAD = 16;

const rate = (value) => (value >= 0.05 ? `${short(value)}/s` : 'quiet');

/** Which column each node stands in: sources, domain agents, what they write, coordinator, what comes of it. */
function columns(nodes, edges) {
  const agents = new Set(nodes.filter((node) => node.kind === 'agent').map((node) => node.id));
  const from = (id) => edges.filter((edge) => edge.from === id).map((edge) => edge.to);
  const into = (id) => edges.filter((edge) => edge.to === id).map((edge) => edge.from);
  const joins = new Set([...agents].filter((id) => into(id).some((topic) => topic.startsWith('findings.'))));
  const place = new Map();
  for (const { id } of nodes) {
    if (agents.has(id)) place.set(id, joins.has(id) ? 3 : 1);
    else if (!into(id).length) place.set(id, from(id).every((one) => joins.has(one)) ? 2 : 0);
    else place.set(id, !from(id).length && into(id).some((one) => joins.has(one)) ? 4 : 2);
  }
  return place;
}

/** Positions: within a column in the order of the middle of what they are joined to. */
function laid(nodes, edges) {
  const place = columns(nodes, edges);
  const lists = [[], [], [], [], []];
  for (const node of nodes) lists[place.get(node.id)].push(node.id);
  const rank = new Map();
  lists.forEach((list) => list.forEach((id, at) => rank.set(id, at)));
  for (let round = 0; round < 4; round += 1) {
    for (const list of lists) {
      const middle = (id) => {
        const near = edges.flatMap((edge) => (edge.from === id ? [edge.to] : edge.to === id ? [edge.from] : [])).map((one) => rank.get(one) / Math.max(1, lists[place.get(one)].length));
        return near.length ? near.reduce((sum, one) => sum + one, 0) / near.length : 0;
      };
      list.sort((a, b) => middle(a) - middle(b) || (a < b ? -1 : 1)).forEach((id, at) => rank.set(id, at));
    }
  }
  const most = Math.max(...lists.map((list) => list.length));
  const height = most * (TALL + GAP) + PAD * 2 - GAP;
  const at = new Map();
  lists.forEach((list, column) => list.forEach((id, row) => {
    const free = height - PAD * 2 - list.length * TALL;
    const step = list.length > 1 ? Math.min(free / (list.length - 1), TALL * 1.6) : 0;
    const used = list.length * TALL + (list.length - 1) * step;
    at.set(id, { x: PAD + column * COLUMN, y: (height - used) / 2 + row * (TALL + step) });
  }));
  return { at, width: PAD * 2 + 4 * COLUMN + WIDTH, height, place };
}

function curve(a, b, back) {
  const y1 = a.y + TALL / 2;
  const y2 = b.y + TALL / 2;
  const x1 = back ? a.x : a.x + WIDTH;
  const x2 = back ? b.x + WIDTH : b.x;
  const bend = (back ? -1 : 1) * Math.max(40, Math.abs(x2 - x1) / 2);
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}

/** The picture; `show(edges)` sets the rates. */
function picture({ nodes, edges }, pick) {
  const { at, width, height, place } = laid(nodes, edges);
  const lines = edges.map((edge) => {
    const back = place.get(edge.from) > place.get(edge.to);
    const d = curve(at.get(edge.from), at.get(edge.to), back);
    const line = s('path', { class: 'edge', d });
    const moving = s('path', { class: 'edge-moving', d });
    return { edge, line, moving };
  });
  const boxes = nodes.map(({ id, kind }) => {
    const { x, y } = at.get(id);
    const words = s('text', { class: 'node-rate', x: x + WIDTH / 2, y: y + 31, 'text-anchor': 'middle' });
    const group = s('g', { class: 'node', tabindex: 0, role: 'button', 'aria-pressed': 'false', 'data-kind': kind, 'data-agent': kind === 'agent' ? id : null },
      s('rect', { x, y, width: WIDTH, height: TALL, rx: kind === 'agent' ? TALL / 2 : 8 }), s('text', { class: 'node-name', x: x + WIDTH / 2, y: y + 17, 'text-anchor': 'middle' }, `${id} `), words);
    const choose = () => pick(id);
    group.addEventListener('click', choose);
    group.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' || event.key === ' ') {
        event.preventDefault();
        choose();
      }
    });
    return { id, kind, group, words };
  });
  const element = s('svg', { class: 'topology', viewBox: `0 0 ${width} ${height}`, width, height, role: 'group', 'aria-label': 'Topics and agents with what flows between them' }, lines.flatMap(({ line, moving }) => [line, moving]), boxes.map(({ group }) => group));
  const show = (now) => {
    const by = new Map(now.map((edge) => [`${edge.from}>${edge.to}`, edge.per_second]));
    const sums = new Map();
    for (const { edge, line, moving } of lines) {
      const value = by.get(`${edge.from}>${edge.to}`) ?? 0;
      line.style.strokeWidth = `${1 + Math.min(4, Math.log10(1 + value) * 1.3)}px`;
      moving.style.strokeWidth = line.style.strokeWidth;
      attribute(moving, 'data-on', value >= 0.05 ? (value > 100 ? 'fast' : value > 5 ? 'steady' : 'slow') : null);
      for (const [id, side] of [[edge.from, 'out'], [edge.to, 'in']]) {
        const sum = sums.get(id) ?? { in: 0, out: 0, most: 0 };
        sum[side] += value;
        sum.most = Math.max(sum.most, side === 'out' ? value : 0);
        sums.set(id, sum);
      }
    }
    for (const { id, kind, group, words } of boxes) {
      const sum = sums.get(id) ?? { in: 0, out: 0, most: 0 };
      // Several agents read the same record of a topic: what it holds is what the busiest reader takes.
      const flows = kind === 'agent' ? sum.in : sum.in || sum.most;
      text(words, rate(flows));
      attribute(group, 'aria-label', `${id} ${rate(flows)}, ${kind}`);
    }
  };
  const mark = (id) => {
    attribute(element, 'data-picked', id ? '' : null);
    for (const { edge, line, moving } of lines) for (const node of [line, moving]) attribute(node, 'data-near', id && (edge.from === id || edge.to === id) ? '' : null);
    for (const box of boxes) {
      const near = id && (box.id === id || edges.some((edge) => (edge.from === id && edge.to === box.id) || (edge.to === id && edge.from === box.id)));
      attribute(box.group, 'data-near', near ? '' : null);
      attribute(box.group, 'aria-pressed', box.id === id ? 'true' : 'false');
    }
  };
  return { element, show, mark };
}

function rates(edges) {
  const lines = [...edges].sort((a, b) => b.per_second - a.per_second || (a.from < b.from ? -1 : 1)).map((edge) => [h('code', {}, edge.from), h('code', {}, edge.to), rate(edge.per_second)]);
  return table('Rates', [['From', ''], ['To', ''], ['Records', 'number']], lines);
}

/** Opens the view. */
export function open({ place }) {
  const leave = new AbortController();
  const body = h('div', {});
  put(place, head('Flow', 'Topics and agents, and what flows between them in this process. Choose one to see what it is joined to.'), body);
  let drawn = null;
  let picked = null;
  const below = h('div', {});
  const pick = (id) => {
    picked = picked === id ? null : id;
    drawn.mark(picked);
    say(picked ? `${picked} chosen` : 'Nothing chosen');
  };
  const show = (flow) => {
    if (!flow.nodes.length) return empty('topology', 'Nothing flows', 'No agent runs in this process.');
    drawn = picture(flow, pick);
    drawn.show(flow.edges);
    put(below, rates(flow.edges));
    return [h('div', { class: 'topology-frame', tabindex: 0, role: 'region', 'aria-label': 'Picture of the flow' }, drawn.element), section('Rates', below)];
  };
  const read = () => get('/topology', {}, leave.signal);
  fetched(body, 'the flow', read, show, leave.signal);
  const timer = setInterval(async () => {
    if (!drawn || document.hidden) return;
    try {
      const { edges } = await read();
      drawn.show(edges);
      if (!below.contains(document.activeElement)) put(below, rates(edges));
    } catch {
      // The rates stay as they were; the banner says that the link is gone.
    }
  }, RATE_MS);
  return { title: 'Flow', back: null, close: () => {
    clearInterval(timer);
    leave.abort();
  } };
}
