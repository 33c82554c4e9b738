// How fast the console opens and how smoothly it runs: node smooth.mjs BASE RATE SECONDS
//
// Prints one line of JSON. `drive` is asked for on the output once the page stands; whoever started
// this then makes RATE changes a second until it is told `rest`.

import { browser, page, request, until } from './kit.mjs';

const [base, rate, seconds] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
/** Times the page is opened; the median counts. */
const LOADS = 7;
/** A frame longer than this, in milliseconds, is one a person sees stutter. */
const SEEN = 50;

const middle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];
const round = (value) => Math.round(value * 10) / 10;

// Runs before anything else in the page: notes when the first rows have been painted. They have been
// once the frame that follows their insertion has ended.
function watch() {
  new MutationObserver((_, observer) => {
    if (!document.querySelector('.rows tbody .row-link')) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => { window.firstRows = performance.now(); }));
  }).observe(document, { childList: true, subtree: true });
}

async function loads(chromium, caches) {
  const [times, loaded, answered] = [[], [], []];
  let rows = '';
  const warm = caches ? await page(chromium) : null;
  if (warm) await warm.evaluateOnNewDocument(watch);
  for (let at = 0; at < LOADS + 1; at += 1) {
    // A context of its own has an empty cache.
    const context = warm ? null : await chromium.createBrowserContext();
    const tab = warm ?? await page(context);
    if (!warm) await tab.evaluateOnNewDocument(watch);
    await tab.goto(`${base}/`, { waitUntil: 'domcontentloaded' });
    await until(tab, 'the first rows', () => window.firstRows);
    const first = await tab.evaluate(() => window.firstRows);
    await until(tab, 'every row', () => document.querySelector('#nav-count').textContent !== '' && !document.querySelector('.under .note'));
    rows = await tab.$eval('#nav-count', (node) => node.textContent);
    const [load, answer] = await tab.evaluate(() => [
      performance.getEntriesByType('navigation')[0].loadEventEnd,
      performance.getEntriesByType('resource').find((entry) => entry.name.includes('/api/v1/recommendations')).duration,
    ]);
    // The first opening starts the browser's processes.
    if (at > 0) {
      times.push(first);
      loaded.push(load);
      answered.push(answer);
    }
    if (context) await context.close();
  }
  if (warm) await warm.close();
  return { rows, median_ms: round(middle(times)), worst_ms: round(Math.max(...times)), loaded_ms: round(middle(loaded)), answered_ms: round(middle(answered)) };
}

const chromium = await browser();
const cold = await loads(chromium, false);
const warm = await loads(chromium, true);

const tab = await page(chromium, { motion: 'no-preference' });
await tab.goto(`${base}/`);
await until(tab, 'every row', () => document.querySelectorAll('.rows .row-link').length && document.querySelector('#nav-count').textContent !== '' && !document.querySelector('.under .note'));
await request('drive');
await tab.evaluate(async () => {
  // The very modules the page runs: another address would be another instance.
  const module = (name) => import(new URL(name, document.querySelector('script[type="module"]').src).href);
  const [{ on }, { onRows }] = [await module('live.js'), await module('store.js')];
  const seen = { frames: [], updates: 0, applied: 0, long: 0 };
  window.seen = seen;
  on('recommendation', () => { seen.updates += 1; });
  onRows(({ ids }) => { seen.applied += ids.size; });
  new PerformanceObserver((list) => { for (const entry of list.getEntries()) seen.long += entry.duration; }).observe({ type: 'longtask' });
  let last = performance.now();
  const frame = (now) => {
    seen.frames.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
});
const began = performance.now();
await tab.mouse.move(800, 600);
while (performance.now() - began < seconds * 1_000) {
  await tab.mouse.wheel({ deltaY: 240 });
  await new Promise((resolve) => { setTimeout(resolve, 40); });
}
const lasted = (performance.now() - began) / 1_000;
const { frames, updates, applied, long } = await tab.evaluate(() => window.seen);
const complaints = tab.complaints;
await request('rest');
await chromium.close();
const kept = frames.slice(5);
console.log(JSON.stringify({
  rows: cold.rows, cold, warm,
  updates: { asked_per_second: rate, heard_per_second: Math.round(updates / lasted), applied_per_second: Math.round(applied / lasted), seconds: round(lasted) },
  frames: { per_second: round(kept.length / lasted), median_ms: round(middle(kept)), p99_ms: round(quantile(kept, 0.99)), longest_ms: round(Math.max(...kept)), over_50_ms: kept.filter((ms) => ms > SEEN).length, of: kept.length },
  long_tasks_ms_per_second: round(long / lasted),
  complaints,
}));
process.exit(0);
