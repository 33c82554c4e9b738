// Plots as SVG, drawn at the size they have on the screen, with the same numbers as a table.

import { framed, h, put, s } from '../dom.js';
import { dayOf, measure, short, timeOfDay, when } from '../format.js';

const HEIGHT = 168;
const LEFT = 52;
const RIGHT = 14;
const TOP = 12;
const BOTTOM = 24;
/** Lines of the table of values. */
const VALUES_MAX = 200;
/** A gap this many times the usual step is a hole, not a line. */
const HOLE = 4;

/** Round steps that divide a range into about `n`. */
export function ticks(low, high, n) {
  const rough = (high - low) / Math.max(1, n);
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? power * 10;
  const list = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) list.push(Number(value.toPrecision(12)));
  return list;
}

/** At most two points a pixel column: the lowest and highest, so that no peak is lost. */
function thinned(points, columns) {
  if (points.length <= columns * 2) return points;
  const size = points.length / columns;
  const kept = [];
  for (let at = 0; at < columns; at += 1) {
    const slice = points.slice(Math.floor(at * size), Math.floor((at + 1) * size));
    let low = slice[0];
    let high = slice[0];
    for (const point of slice) {
      if (point[1] < low[1]) low = point;
      if (point[1] > high[1]) high = point;
    }
    kept.push(...(low[0] < high[0] ? [low, high] : low === high ? [low] : [high, low]));
  }
  return kept;
}

/** The mean of each of at most `columns` stretches: the shape without the noise. */
function averaged(points, columns) {
  if (points.length <= columns) return points;
  const size = points.length / columns;
  return Array.from({ length: columns }, (_, at) => {
    const slice = points.slice(Math.floor(at * size), Math.floor((at + 1) * size));
    return [slice[0][0], slice.reduce((sum, [, value]) => sum + value, 0) / slice.length];
  });
}

/** The usual distance between points in milliseconds. */
function usual(points) {
  const gaps = points.slice(1).map((point, at) => point[0] - points[at][0]).sort((a, b) => a - b);
  return gaps[Math.floor(gaps.length / 2)] ?? 0;
}

function line(points, x, y) {
  const hole = usual(points) * HOLE;
  return points.map(([at, value], index) => `${index && !(hole && at - points[index - 1][0] > hole) ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('');
}

/** A line of the last points without axes, for a card; says its last value by itself only in the title. */
export function sparkline(points, label, tone = 'accent') {
  const values = points.filter(([, value]) => Number.isFinite(value));
  const frame = s('svg', { class: 'spark', viewBox: '0 0 120 32', preserveAspectRatio: 'none', role: 'img', 'aria-label': label, 'data-tone': tone });
  if (values.length < 2) return frame;
  const shown = averaged(values, 60);
  const high = Math.max(...shown.map(([, value]) => value), 1e-9);
  const [begin, end] = [shown[0][0], shown.at(-1)[0]];
  const x = (at) => ((at - begin) / Math.max(1, end - begin)) * 120;
  const y = (value) => 30 - (Math.max(0, value) / high) * 27;
  const path = line(shown, x, y);
  frame.append(s('path', { class: 'spark-area', d: `M0 32${path.replace(/^M/, 'L').replaceAll('M', 'L')}L120 32Z` }), s('path', { class: 'spark-line', d: path }));
  return frame;
}

function axes(width, low, high, begin, end, x, y, unit) {
  const nodes = [];
  for (const value of ticks(low, high, 3)) {
    nodes.push(s('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
    nodes.push(s('text', { class: 'tick', x: LEFT - 8, y: y(value) + 4, 'text-anchor': 'end' }, unit === 'bytes' || unit === 'Bytes' ? measure(value, unit) : short(value)));
  }
  const days = end - begin > 2 * 86_400_000;
  const n = Math.max(2, Math.floor((width - LEFT) / 120));
  for (let at = 0; at <= n; at += 1) {
    const moment = begin + ((end - begin) * at) / n;
    nodes.push(s('text', { class: 'tick', x: x(moment), y: HEIGHT - 6, 'text-anchor': at === 0 ? 'start' : at === n ? 'end' : 'middle' }, days ? dayOf(moment) : timeOfDay(moment).slice(0, 5)));
  }
  return nodes;
}

/** The vertical line and words that follow the pointer, or the arrow keys. */
function cursor(frame, points, x, y, unit, width) {
  const rule = s('line', { class: 'cursor', y1: TOP, y2: HEIGHT - BOTTOM });
  const dot = s('circle', { class: 'cursor-dot', r: 3.5 });
  const words = s('text', { class: 'cursor-text', y: TOP + 2 });
  const group = s('g', { class: 'cursor-group' }, rule, dot, words);
  frame.append(group);
  let at = points.length - 1;
  const to = (index) => {
    at = Math.max(0, Math.min(points.length - 1, index));
    const [moment, value] = points[at];
    for (const name of ['x1', 'x2']) rule.setAttribute(name, x(moment));
    dot.setAttribute('cx', x(moment));
    dot.setAttribute('cy', y(value));
    const right = x(moment) > width / 2;
    words.setAttribute('x', x(moment) + (right ? -8 : 8));
    words.setAttribute('text-anchor', right ? 'end' : 'start');
    words.textContent = `${measure(value, unit)} · ${when(moment)}`;
    group.dataset.on = '';
  };
  frame.addEventListener('pointermove', (event) => {
    const near = event.clientX - frame.getBoundingClientRect().left;
    let best = 0;
    for (let index = 1; index < points.length; index += 1) if (Math.abs(x(points[index][0]) - near) < Math.abs(x(points[best][0]) - near)) best = index;
    to(best);
  });
  frame.addEventListener('pointerleave', () => delete group.dataset.on);
  frame.addEventListener('blur', () => delete group.dataset.on);
  frame.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    to(at + by);
  });
}

function drawn(width, { points, unit, threshold, tone, label }) {
  const shown = thinned(points, Math.max(60, width - LEFT - RIGHT));
  const values = shown.map(([, value]) => value);
  if (Number.isFinite(threshold)) values.push(threshold);
  const low = Math.min(0, ...values);
  const high = Math.max(...values) * 1.08 || 1;
  const begin = shown[0][0];
  const end = Math.max(shown.at(-1)[0], begin + 1);
  const x = (at) => LEFT + ((at - begin) / (end - begin)) * (width - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
  const frame = s('svg', { class: 'plot', width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, tabindex: 0, role: 'img', 'aria-label': label, 'data-tone': tone });
  frame.append(...axes(width, low, high, begin, end, x, y, unit));
  const path = line(shown, x, y);
  if (shown.length === 1) frame.append(s('circle', { class: 'plot-dot', cx: x(shown[0][0]), cy: y(shown[0][1]), r: 3 }));
  if (!/M.*M/.test(path)) frame.append(s('path', { class: 'plot-area', d: `${path}L${x(shown.at(-1)[0])} ${y(low)}L${x(begin)} ${y(low)}Z` }));
  frame.append(s('path', { class: 'plot-line', d: path }));
  if (Number.isFinite(threshold)) {
    frame.append(s('line', { class: 'threshold', x1: LEFT, x2: width - RIGHT, y1: y(threshold), y2: y(threshold) }),
      s('text', { class: 'threshold-text', x: width - RIGHT, y: y(threshold) - 5, 'text-anchor': 'end' }, `threshold ${measure(threshold, unit)}`));
  }
  cursor(frame, shown, x, y, unit, width);
  return frame;
}

/** A plot of one series: `{name, unit, points: [[ms, value]…]}`; `threshold` is drawn across it. */
export function plot({ name, unit, points, threshold, tone = 'accent' }) {
  const clean = points.filter(([, value]) => Number.isFinite(value));
  const title = h('figcaption', {}, h('span', { class: 'plot-name' }, name));
  const place = h('div', { class: 'plot-place' });
  const figure = h('figure', { class: 'plot-frame' }, title, place);
  if (!clean.length) {
    put(place, h('p', { class: 'quiet' }, 'No point is remembered.'));
    return figure;
  }
  const values = clean.map(([, value]) => value);
  const [low, high, last] = [Math.min(...values), Math.max(...values), values.at(-1)];
  title.append(h('span', { class: 'plot-now' }, measure(last, unit)), h('span', { class: 'plot-range' }, `${measure(low, unit)} to ${measure(high, unit)}`));
  const label = `${name}: ${clean.length} points from ${when(clean[0][0])} to ${when(clean.at(-1)[0])}, ${measure(low, unit)} to ${measure(high, unit)}, last ${measure(last, unit)}`;
  let width = 0;
  const draw = framed(() => {
    const room = Math.floor(place.clientWidth);
    if (room < 40 || room === width) return;
    width = room;
    put(place, drawn(width, { points: clean, unit, threshold, tone, label }));
  });
  new ResizeObserver(draw).observe(place);
  const body = h('tbody', {});
  const details = h('details', { class: 'plot-values', ontoggle: () => {
    if (details.open && !body.children.length) body.append(...clean.slice(-VALUES_MAX).reverse().map(([at, value]) => h('tr', {}, h('td', {}, when(at)), h('td', { class: 'number' }, measure(value, unit)))));
  } }, h('summary', {}, 'Values'), h('div', { class: 'values-frame', tabindex: 0, role: 'region', 'aria-label': `Values of ${name}` }, h('table', { class: 'table' }, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Time'), h('th', { scope: 'col', class: 'number' }, 'Value'))), body)));
  figure.append(details);
  return figure;
}
