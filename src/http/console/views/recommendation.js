// One recommendation: what to do, each agent's reason with its numbers plotted, why it ranks where it
// does, what it excludes and is held back by, and the way from AWS's records to it.

import { h, put, throttled } from '../dom.js';
import { get, path } from '../api.js';
import { AGENTS, capital, count, leadingNumber, money, plural, words } from '../format.js';
import { on } from '../live.js';
import { plot } from '../parts/chart.js';
import { agent, chip, copy, fact, fetched, head, ruleHref, section, severity, state, subject, subjectHref, table, time } from '../parts/bits.js';
import { icon } from '../parts/icons.js';
import { listHref, said } from './recommendations.js';

/** Resources whose series are fetched for one page. */
const PLOTTED_MAX = 6;
/** Plots shown for one finding. */
const PLOTS_MAX = 4;
const REFRESH_MS = 2_000;

/** The series a finding's evidence speaks of: those it names; of the agent's others none. */
export function seriesOf(finding, memory) {
  const own = memory?.memory?.find((part) => part.agent === finding.agent) ?? null;
  const all = own?.series ?? [];
  const named = all.filter(({ name }) => {
    const short = name.split(/[\s/]/).at(-1).toLowerCase();
    return finding.evidence.some((evidence) => evidence.name.toLowerCase().includes(short)) || finding.why.toLowerCase().includes(short);
  });
  const spoken = named.length ? named : all.filter(({ name }) => /cpu/i.test(name) && /cpu/i.test(finding.why));
  return spoken.filter(({ points }) => points.length > 0).slice(0, PLOTS_MAX);
}

/** The threshold to draw across a series: of evidence that names it and is in its unit. */
function thresholdOf(finding, { name }) {
  const short = name.split(/[\s/]/).at(-1).toLowerCase();
  const evidence = finding.evidence.find((one) => one.name.toLowerCase() === short || one.name.toLowerCase() === name.toLowerCase());
  return evidence ? leadingNumber(evidence.threshold) : null;
}

/** Who muted a finding, until when and why; null when nobody did. */
function muted({ exemption }) {
  if (!exemption) return null;
  const by = exemption.by === 'tag' ? 'its tag skyherd:exempt' : 'the configuration';
  return h('p', { class: 'quiet' }, `Muted by ${by} until ${exemption.until.replace('T00:00:00Z', '')}${exemption.reason ? `: ${exemption.reason}` : ''}`);
}

/** One finding with its numbers; `memory` is what is remembered of its subject, or null. */
export function findingCard(finding, memory) {
  const series = seriesOf(finding, memory);
  return h('article', { class: 'card finding', data: { agent: finding.agent } },
    h('header', { class: 'finding-head' }, severity(finding.severity), h('h3', {}, finding.title), finding.status !== 'open' && state(finding.status), finding.exemption && chip('Muted'), h('a', { class: 'rule-link', href: ruleHref(finding.rule) }, finding.rule)),
    h('p', { class: 'finding-why' }, finding.why),
    muted(finding),
    h('p', { class: 'finding-on' }, subject(finding.subject), h('span', { class: 'quiet' }, finding.episode > 1 ? `opened for the ${finding.episode}th time, ` : 'open since ', time(finding.opened_at)), h('span', { class: 'quiet' }, `${Math.round(finding.confidence * 100)} % sure`), finding.exposed && chip('reachable from the internet', 'warn')),
    series.length > 0 && h('div', { class: 'plots' }, series.map((one) => plot({ name: one.step === 'day' ? `${one.name}, a day` : one.name, unit: one.unit, points: one.points, threshold: thresholdOf(finding, one), tone: finding.agent }))),
    finding.evidence.length > 0 && table(`Evidence of ${finding.rule}`, [['Looked at', ''], ['Was', ''], ['Compared with', ''], ['When', 'nowrap']], finding.evidence.map((one) => [h('code', {}, one.name), one.value, one.threshold || h('span', { class: 'quiet' }, '–'), time(one.at)]), 'evidence'));
}

function why({ recommendation, findings }, memories) {
  const agents = recommendation.why.map(([name]) => name);
  const others = findings.filter((finding) => !agents.includes(finding.agent));
  return section('Why', h('p', { class: 'section-lede' }, `${plural(recommendation.why.length, 'agent')} speak${recommendation.why.length === 1 ? 's' : ''} for it, with ${plural(findings.length, 'finding')}.`),
    recommendation.why.map(([name, reason]) => {
      const own = findings.filter((finding) => finding.agent === name);
      const repeated = own.length === 1 && own[0].why === reason;
      return h('div', { class: 'voice', data: { agent: name } }, h('div', { class: 'voice-head' }, agent(name), !repeated && h('p', {}, reason)), own.map((finding) => findingCard(finding, memories.get(finding.subject))));
    }),
    others.map((finding) => findingCard(finding, memories.get(finding.subject))));
}

const TERMS = {
  risk: 'How bad the worst finding is', saving: 'What it saves, on a logarithmic scale', impact: 'How much is affected',
  confidence: 'How sure the least sure finding is', exposure: 'Reachable from the internet', environment: 'What its tags say it serves', effort: 'Work it takes',
};

function ranking({ priority, environment }) {
  const factors = priority.terms.filter(({ name }) => name === 'exposure' || name === 'environment');
  const sums = priority.terms.filter((term) => !factors.includes(term));
  const most = Math.max(...sums.map(({ value, weight }) => value * weight * 100), 1);
  const bar = (points) => h('span', { class: 'term-bar', 'aria-hidden': 'true' }, h('i', { vars: { '--share': `${Math.max(1, (points / most) * 100)}%` } }));
  const lines = sums.map(({ name, value, weight }) => [h('span', {}, h('strong', {}, capital(name)), h('small', {}, TERMS[name] ?? '')), value.toFixed(2), `× ${(weight * 100).toFixed(0)}`, h('span', { class: 'term-points' }, bar(value * weight * 100), (value * weight * 100).toFixed(1))]);
  for (const { name, weight } of factors) lines.push([h('span', {}, h('strong', {}, capital(name)), h('small', {}, name === 'environment' ? environment ? capital(environment) : 'No environment tag' : weight === 1 ? 'Not known to be reachable from the internet' : TERMS[name])), '', `× ${weight}`, h('span', { class: 'quiet' }, 'factor')]);
  return section('Why it ranks where it does', table('Ranking terms', [['Term', ''], ['Value', 'number'], ['Weight', 'number'], ['Points', 'number']], lines, 'terms'), h('p', { class: 'sum' }, 'Score ', h('strong', {}, priority.score.toFixed(1)), ' of 150'));
}

function conflicts({ hides, held_by: heldBy }) {
  if (!hides.length && !heldBy.length) return null;
  const list = (rows, symbol) => h('ul', { class: 'conflicts' }, rows.map(({ what, why: reason }) => h('li', {}, icon(symbol, 16), h('div', {}, h('strong', {}, /^[A-Z]+-/.test(what) ? h('a', { href: ruleHref(what) }, what) : capital(what)), h('p', {}, reason)))));
  return section('Conflicts and what it settles', heldBy.length > 0 && [h('h3', {}, 'Held back by'), list(heldBy, 'warn')], hides.length > 0 && [h('h3', {}, 'Stands in place of'), list(hides, 'check')]);
}

function targets({ targets: list, owner }) {
  if (!list.length || list.every(([id, parameters]) => id === owner && !Object.keys(parameters).length)) return null;
  return section('What would change', table('Targets', [['Resource', ''], ['Parameters', '']], list.map(([id, parameters]) => [subject(id), h('dl', { class: 'parameters' }, Object.entries(parameters).map(([name, value]) => h('div', {}, h('dt', {}, words(name)), h('dd', {}, h('code', {}, value)))))])));
}

/** What happened to a row, newest first. */
export function timeline(steps) {
  if (!steps.length) return h('p', { class: 'quiet' }, 'Nothing is remembered of it.');
  return h('ol', { class: 'timeline' }, steps.map((step) => h('li', { data: { what: step.what } }, h('div', { class: 'timeline-head' }, h('strong', {}, capital(step.what)), step.severity && severity(step.severity), time(step.at)), step.says && h('p', {}, step.says), h('small', { class: 'quiet' }, [step.cycle > 1 && `life ${step.cycle}`, step.revision && `revision ${step.revision}`, step.topic && `${step.topic} ${step.partition}@${step.offset}`].filter(Boolean).join(' · ')))));
}

const STAGES = [['record', 'Records', 'What AWS said'], ['finding', 'Findings', 'What the rules made of it'], ['recommendation', 'Recommendation', 'What the coordinator joined']];

/** From AWS's records to the row, a column each. */
export function flow(steps) {
  if (!steps.length) return null;
  return section('How it came about', h('div', { class: 'flow' }, STAGES.map(([stage, title, lede], at) => {
    const own = steps.filter((step) => step.stage === stage);
    return [at > 0 && h('div', { class: 'flow-arrow', 'aria-hidden': 'true' }, icon('arrow', 20)), h('div', { class: 'flow-stage', data: { stage } }, h('h3', {}, title, h('small', {}, lede)), own.length ? h('ol', {}, own.map((step) => h('li', {}, h('span', { class: 'flow-title' }, step.title || words(step.stage)), h('span', { class: 'flow-place' }, h('code', {}, step.topic), ` ${step.partition}@${step.offset}`), time(step.at)))) : h('p', { class: 'quiet' }, 'None is held any more.'))];
  })));
}

function top({ recommendation: row }) {
  const worth = Number(row.savings?.monthly ?? 0);
  return [
    h('a', { class: 'back', href: listHref() }, icon('back', 16), 'Recommendations'),
    head(said(row).reason, null),
    h('div', { class: 'summary' }, severity(row.severity), state(row.state), chip(capital(row.action)), row.environment && chip(capital(row.environment)), h('a', { href: subjectHref(row.owner) }, row.owner), copy(row.owner, 'Copy the resource')),
    h('dl', { class: 'facts' },
      worth > 0 && fact('Saves a month', h('strong', { class: 'big' }, money(worth)), h('small', {}, `${row.savings.price_source} price of ${row.savings.price_date}`)),
      fact('Score', h('strong', { class: 'big' }, Math.round(row.priority.score)), h('small', {}, 'of 150')),
      fact('Sure', h('strong', { class: 'big' }, `${Math.round(row.confidence * 100)} %`)),
      fact('Opened', time(row.opened_at)),
      fact('Changed', time(row.at), h('small', {}, `revision ${count(row.revision)}${row.cycle > 1 ? `, life ${row.cycle}` : ''}`))),
  ];
}

/** Opens the view. */
export function open({ place, route }) {
  const [id] = route.rest;
  const leave = new AbortController();
  const memories = new Map();
  let seen = null;
  const read = async () => {
    const story = await get(path('/recommendations', id), {}, leave.signal);
    const named = [...new Set(story.findings.map((finding) => finding.subject))].filter((one) => !memories.has(one)).slice(0, PLOTTED_MAX);
    await Promise.all(named.map(async (one) => {
      try {
        memories.set(one, await get(path('/subjects', one), {}, leave.signal));
      } catch {
        // Its plots are missing then; the evidence is there all the same.
      }
    }));
    return story;
  };
  const show = (story) => {
    const row = story.recommendation;
    story.recommendation.why.sort(([a], [b]) => AGENTS.indexOf(a) - AGENTS.indexOf(b));
    seen = row;
    document.title = `${row.title} · Skyherd`;
    return h('div', { class: 'detail' }, top(story), h('div', { class: 'detail-body' }, h('div', { class: 'detail-main' }, why(story, memories), targets(row), conflicts(row), flow(story.flow)), h('div', { class: 'detail-side' }, ranking(row), section('History', timeline([...story.history].reverse())))));
  };
  fetched(place, 'the recommendation', read, show, leave.signal);
  const refresh = throttled(REFRESH_MS, async () => {
    try {
      const story = await read();
      if (leave.signal.aborted) return;
      const main = place.closest('main');
      const { scrollTop } = main;
      const focused = document.activeElement?.getAttribute('href');
      put(place, show(story));
      main.scrollTop = scrollTop;
      if (focused) place.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    } catch {
      // The page stays as it was; the banner says that the link is gone.
    }
  });
  const stop = on('recommendation', (row) => {
    if (row.id !== id || (seen && row.epoch === seen.epoch && row.seq === seen.seq)) return;
    memories.clear();
    refresh();
  });
  return { title: 'Recommendation', back: listHref(), refresh, close: () => {
    stop();
    refresh.cancel();
    leave.abort();
  } };
}
