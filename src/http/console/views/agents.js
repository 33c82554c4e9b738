// The agents: what each takes, how far it is behind, how fast it answers, now and over the last day.

import { attribute, h, put, text, throttled } from '../dom.js';
import { get, path } from '../api.js';
import { AGENTS, count, short, span } from '../format.js';
import { on } from '../live.js';
import { plot, sparkline } from '../parts/chart.js';
import { agent as agentName, chip, dialog, empty, failure, fetched, head, loading } from '../parts/bits.js';

/** The lines of the last day are read again this often, in milliseconds. */
const SERIES_MS = 60_000;
const SHOWN = [['records_per_second', 'Throughput'], ['lag', 'Lag'], ['latency_p99_ms', 'Latency, 99 %']];
const MORE = [...SHOWN, ['rows_per_second', 'Rows published'], ['latency_p50_ms', 'Latency, half'], ['event_age_seconds', 'Age of the newest event'], ['checkpoint_seconds', 'Checkpoint'], ['dead_letters_per_second', 'Dead letters'], ['open_findings', 'Open findings'], ['tasks_live', 'Tasks that have caught up']];

/** How an agent stands, in one word. */
function standing(row) {
  if (!row.here) return ['Elsewhere', 'plain'];
  if (!row.tasks) return ['No tasks', 'warn'];
  if (row.parked) return [`${count(row.parked)} parked`, 'bad'];
  if (row.live < row.tasks) return ['Catching up', 'warn'];
  return ['Live', 'good'];
}

function gauge(label) {
  const value = h('strong', {});
  const spark = h('div', { class: 'spark-place' });
  return { value, spark, element: h('div', { class: 'gauge' }, h('dt', {}, label), h('dd', {}, value, spark)) };
}

function card(name, details) {
  const stand = chip('');
  const gauges = { records_per_second: gauge('Throughput'), lag: gauge('Lag'), latency_p99_ms: gauge('Latency, 99 %') };
  const facts = { tasks: h('dd', {}), half: h('dd', {}), age: h('dd', {}), findings: h('dd', {}), can: h('dd', {}) };
  const element = h('article', { class: 'card agent-card', data: { agent: name }, 'aria-label': `Agent ${name}` },
    h('header', { class: 'agent-head' }, h('h2', {}, agentName(name)), stand, h('button', { class: 'button small', type: 'button', data: { row: '' }, 'aria-label': `Last day of ${name}`, onclick: details }, 'Last day')),
    h('dl', { class: 'gauges' }, Object.values(gauges).map((one) => one.element)),
    h('dl', { class: 'agent-facts' }, [['Tasks', facts.tasks], ['Latency, half', facts.half], ['Newest event', facts.age], ['Open findings', facts.findings], ['Answers', facts.can]].map(([label, node]) => h('div', {}, h('dt', {}, label), node))));
  const show = (row) => {
    const [word, tone] = standing(row);
    text(stand, word);
    attribute(stand, 'data-tone', tone);
    text(gauges.records_per_second.value, `${short(row.records_per_second)}/s`);
    text(gauges.lag.value, count(row.lag));
    attribute(gauges.lag.value, 'data-tone', row.lag > 10_000 ? 'warn' : null);
    text(gauges.latency_p99_ms.value, row.latency_p99_ms === null ? '–' : span(row.latency_p99_ms));
    text(facts.tasks, row.here ? `${count(row.live)} of ${count(row.tasks)} caught up` : 'in another process');
    text(facts.half, row.latency_p50_ms === null ? '–' : span(row.latency_p50_ms));
    text(facts.age, row.event_age_seconds === null ? '–' : `${span(row.event_age_seconds * 1_000)} old`);
    text(facts.findings, count(row.open_findings));
    text(facts.can, row.capabilities.length ? row.capabilities.join(', ') : '–');
  };
  const plotted = (metric, points, unit) => put(gauges[metric].spark, points.length > 1 ? sparkline(points, `${metric.replaceAll('_', ' ')} over the last day, ${unit}`, name) : h('span', { class: 'quiet small' }, 'no line yet'));
  return { element, show, plotted };
}

function lastDay(name, signal) {
  const place = h('div', { class: 'plots two' }, loading('the last day', 3));
  dialog(`The last 24 hours of ${name}`, place);
  const load = async () => {
    try {
      const series = await Promise.all(MORE.map(([metric]) => get(path('/agents', name, 'series'), { metric }, signal)));
      put(place, series.map(({ points, unit }, at) => plot({ name: MORE[at][1], unit, points, tone: name })));
    } catch (error) {
      if (!signal.aborted) put(place, failure(error, load));
    }
  };
  load();
}

/** Opens the view. */
export function open({ place }) {
  const leave = new AbortController();
  const cards = new Map();
  const body = h('div', {});
  put(place, head('Agents', 'What each one takes, how far it is behind, and how fast a record becomes a row. 99 of 100 rows are published within the latency shown.'), body);
  const lines = async () => {
    const one = async (name, metric, plotted) => {
      try {
        const { points, unit } = await get(path('/agents', name, 'series'), { metric }, leave.signal);
        plotted(metric, points, unit);
      } catch {
        // The line stays as it was; the numbers above it come by the stream.
      }
    };
    await Promise.all([...cards].flatMap(([name, { plotted }]) => SHOWN.map(([metric]) => one(name, metric, plotted))));
  };
  const show = ({ agents }) => {
    if (!agents.length) return empty('agents', 'No agent runs', 'This process was started without agents.');
    const sorted = [...agents].sort((a, b) => AGENTS.indexOf(a.name) - AGENTS.indexOf(b.name));
    for (const row of sorted) {
      if (!cards.has(row.name)) cards.set(row.name, card(row.name, () => lastDay(row.name, leave.signal)));
      cards.get(row.name).show(row);
    }
    lines();
    return h('div', { class: 'cards', data: { rows: '' } }, sorted.map((row) => cards.get(row.name).element));
  };
  fetched(body, 'the agents', () => get('/agents', {}, leave.signal), show, leave.signal);
  const stop = on('agents', (news) => {
    for (const row of news?.agents ?? news ?? []) cards.get(row.name)?.show(row);
  });
  const timer = setInterval(lines, SERIES_MS);
  const refresh = throttled(2_000, lines);
  return { title: 'Agents', refresh, close: () => {
    stop();
    clearInterval(timer);
    leave.abort();
  } };
}
