// A walk through the console of a running service: node walk.mjs BASE
// It asks for `stop` and `start` of the service on its output; see kit.mjs.

import assert from 'node:assert/strict';
import { DESKTOP, PHONE, axe, browser, page, request, shot, sideways, steps, textOf, until, visit } from './kit.mjs';

const base = process.argv[2];
const chromium = await browser();
const api = async (path) => (await fetch(base + path)).json();
const rowTitles = (tab) => tab.$$eval('.rows .row-link', (links) => links.map((link) => link.getAttribute('aria-label')));
const loaded = (tab) => until(tab, 'every row to be loaded', (total) => document.querySelector('#nav-count')?.textContent === total && document.querySelectorAll('.rows .row-link').length > 0, String(open.total));

const open = await api('/api/v1/recommendations?state=open&profile=audit&limit=1000');
assert(open.total > 5, 'the service has recommendations to show');
const joined = open.recommendations.find((row) => row.why.length > 1) ?? open.recommendations[0];
const plotted = open.recommendations.find((row) => row.rules.includes('PERF-CPU-1') || row.rules.includes('COST-EC2-1') || row.rules.includes('PERF-CRED-1')) ?? joined;
const views = {
  recommendations: '/recommendations', audit: '/recommendations?profile=audit', recommendation: `/recommendations/${plotted.id}`, joined: `/recommendations/${joined.id}`,
  subjects: '/subjects', subject: `/subjects/${plotted.targets[0]?.[0] ?? plotted.owner}`, agents: '/agents', rules: '/rules', rule: `/rules/${open.recommendations[0].rules[0]}`, 'dead-letters': '/dead-letters', flow: '/flow', ask: '/ask',
};

let tab = await page(chromium);

await steps([
  ['the list opens, ranked as the API ranks it', async () => {
    await visit(tab, base, '/recommendations');
    await loaded(tab);
    await until(tab, 'the stream', () => document.querySelector('#link-state').dataset.state === 'live');
    const titles = await rowTitles(tab);
    const collapsed = await api('/api/v1/recommendations?profile=default&limit=1000');
    assert.deepEqual(titles, collapsed.recommendations.map((row) => row.title).slice(0, titles.length));
    const saves = open.recommendations.reduce((sum, row) => sum + Number(row.savings?.monthly ?? 0), 0);
    assert.equal(Number((await textOf(tab, '.tile strong')).replaceAll(/[$,]/g, '')).toFixed(0), saves.toFixed(0));
    assert.equal(await textOf(tab, '.tile:nth-child(2) strong'), String(open.total));
    await shot(tab, 'list');
  }],

  ['a severity filters, survives a reload, and goes away', async () => {
    const severity = open.recommendations.at(-1).severity;
    const wanted = open.recommendations.filter((row) => row.severity === severity);
    await tab.click(`.toggle[data-severity="${severity}"]`);
    await until(tab, 'only that severity', (name) => [...document.querySelectorAll('.rows tbody .severity')].every((node) => node.dataset.severity === name), severity);
    assert(tab.url().includes(`severity=${severity}`), tab.url());
    await tab.reload();
    await until(tab, 'the filter after a reload', (n) => document.querySelector('.tile:nth-child(2) strong')?.textContent === n, String(wanted.length));
    assert.equal(await tab.$eval(`.toggle[data-severity="${severity}"]`, (node) => node.getAttribute('aria-pressed')), 'true');
    await tab.click(`.toggle[data-severity="${severity}"]`);
    await until(tab, 'every row again', (n) => document.querySelector('.tile:nth-child(2) strong')?.textContent === n, String(open.total));
  }],

  ['audit shows what default hides, by mouse and by address, and how each stands', async () => {
    const all = await api('/api/v1/recommendations?state=all&profile=audit&limit=1000');
    const told = await api('/api/v1/recommendations?profile=default&limit=1000');
    const hidden = all.recommendations.filter((row) => row.state !== 'open');
    assert(hidden.length > 0 && told.total <= open.total && open.total < all.total, `${told.total} of ${open.total} open of ${all.total}`);
    const listed = (n) => until(tab, `${n} rows`, (wanted) => document.querySelector('.rows').getAttribute('aria-rowcount') === wanted, String(n + 1));
    await listed(told.total);
    assert.equal((await tab.$$('.rows tr[data-held]')).length, 0);
    await tab.click('.segmented [data-value="audit"]');
    await listed(all.total);
    assert.equal(await textOf(tab, '.tile:nth-child(2) strong'), String(all.total));
    await tab.select('select[aria-label="State"]', hidden[0].state);
    const same = hidden.filter((row) => row.state === hidden[0].state);
    await listed(same.length);
    const chips = await tab.$$eval('.rows tr[data-held] .chip', (nodes) => nodes.map((node) => node.textContent.toLowerCase()));
    assert.deepEqual(new Set(chips), new Set([hidden[0].state]));
    await shot(tab, 'list-audit');
    await visit(tab, base, '/recommendations');
    await listed(told.total);
    await visit(tab, base, '/recommendations?profile=audit');
    await listed(all.total);
    await visit(tab, base, '/recommendations');
    await listed(told.total);
  }],

  ['a search finds by rule, and nothing has its own words', async () => {
    await tab.keyboard.press('/');
    await tab.keyboard.type(joined.rules[0]);
    const n = open.recommendations.filter((row) => JSON.stringify([row.title, row.owner, row.rules, row.action, row.why.map(([, why]) => why)]).includes(joined.rules[0])).length;
    await until(tab, 'the rows of the rule', (wanted) => document.querySelector('.tile:nth-child(2) strong').textContent === wanted, String(n));
    await tab.keyboard.type(' nothing-has-this-word');
    await until(tab, 'the empty state', () => document.querySelector('.state-title')?.textContent === 'Nothing matches');
    await shot(tab, 'list-nothing');
    await tab.keyboard.press('Escape');
    await until(tab, 'every row again', (wanted) => document.querySelector('.tile:nth-child(2) strong').textContent === wanted, String(open.total));
    await tab.keyboard.press('Escape');
  }],

  ['a row opens to its evidence, plotted, with terms, history and flow', async () => {
    await visit(tab, base, views.recommendation);
    await until(tab, 'a plotted series', () => document.querySelector('.finding .plot .plot-line')?.getAttribute('d').length > 20);
    const story = await api(`/api/v1/recommendations/${plotted.id}`);
    assert.equal((await tab.$$('.finding')).length, story.findings.length);
    assert.equal((await tab.$$('.terms tbody tr')).length, plotted.priority.terms.length);
    assert.equal((await tab.$$('.timeline li')).length, story.history.length);
    assert.equal((await tab.$$('.flow-stage li')).length, story.flow.length);
    assert((await tab.$$eval('.flow-stage', (nodes) => nodes.map((node) => node.dataset.stage))).join() === 'record,finding,recommendation');
    await shot(tab, 'recommendation');
    await tab.click('.finding .subject');
    await until(tab, 'the subject', () => location.hash.startsWith('#/subjects/') && document.querySelector('.why tbody tr'));
    await shot(tab, 'subject');
    await tab.goBack();
    await until(tab, 'the recommendation again', () => document.querySelector('.finding'));
  }],

  ['a question is asked and its answer watched', async () => {
    await visit(tab, base, `/ask?account=${open.recommendations[0].owner.split('/')[0]}`);
    await tab.click('.ask-form button[type="submit"]');
    await until(tab, 'an answer', () => /^(Complete|Partial)$/.test(document.querySelector('.progress .chip')?.textContent ?? ''));
    assert.equal(await textOf(tab, '.progress .chip'), 'Complete');
    assert((await textOf(tab, '.answer-text')).length > 10);
    await until(tab, 'the findings of the answer', () => document.querySelector('.answer-findings strong, .answer:not(:has(.answer-findings))'));
    await shot(tab, 'answer');
    await visit(tab, base, '/ask');
    await until(tab, 'the question in the list', () => document.querySelector('.lines a'));
  }],

  ['a dead letter shows its bytes and is replayed', async () => {
    await visit(tab, base, '/dead-letters');
    const before = (await api('/api/v1/dead-letters')).dead_letters[0];
    await tab.click('.list tbody a');
    await until(tab, 'its payload', (text) => document.querySelector('.payload')?.textContent.replaceAll(/\s/g, '').includes(text), before.payload_preview.replaceAll(/\s/g, '').slice(0, 12));
    await tab.click('.head .button.primary');
    await until(tab, 'the question', () => document.querySelector('dialog[open]'));
    await tab.click('dialog .button.primary');
    await until(tab, 'word of the replay', (topic) => document.querySelector('.toast')?.textContent.includes(topic), before.topic);
    await shot(tab, 'dead-letter');
  }],

  ['what the stream brings appears by itself', async () => {
    await visit(tab, base, '/recommendations');
    await loaded(tab);
    await request('publish');
    await until(tab, 'the new row', () => [...document.querySelectorAll('.rows .row-link')].some((link) => link.getAttribute('aria-label').includes('sg-0c0ffee')));
  }],

  ['without the service it says so, and since when; it comes back by itself', async () => {
    assert.deepEqual(tab.complaints, []);
    await request('stop');
    await until(tab, 'word of the lost link', () => !document.querySelector('.banner').hidden && /^Not connected\. What you see is from \d\d:\d\d:\d\d/.test(document.querySelector('.banner').textContent));
    assert((await tab.$$('.rows .row-link')).length > 0, 'the rows stay');
    await shot(tab, 'disconnected');
    await tab.evaluate(() => { location.hash = '#/rules'; });
    await until(tab, 'the error state', () => document.querySelector('.state[data-tone="bad"]')?.textContent.includes('does not answer'));
    await shot(tab, 'away');
    await tab.evaluate(() => { location.hash = '#/recommendations'; });
    await request('start');
    await until(tab, 'the link', () => document.querySelector('.banner').hidden && document.querySelector('#link-state').dataset.state === 'live');
    // The browser itself notes every refused connection; nothing else may be among them.
    tab.complaints = tab.complaints.filter((complaint) => !/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE/.test(complaint));
    await request('publish-again');
    await until(tab, 'the row published after the restart', () => [...document.querySelectorAll('.rows .row-link')].some((link) => link.getAttribute('aria-label').includes('sg-0decade')));
  }],

  ['keys alone reach everything', async () => {
    await tab.close();
    tab = await page(chromium);
    await visit(tab, base, '/recommendations');
    await until(tab, 'rows', () => document.querySelectorAll('.rows .row-link').length > 3);
    await tab.keyboard.press('Tab');
    assert.equal(await tab.evaluate(() => document.activeElement.id), 'skip');
    await tab.keyboard.press('Enter');
    assert.equal(await tab.evaluate(() => document.activeElement.id), 'main');
    const at = () => tab.evaluate(() => Number(document.activeElement.closest('tr')?.getAttribute('aria-rowindex') ?? 0));
    await tab.keyboard.press('j');
    assert.equal(await at(), 2);
    await tab.keyboard.press('j');
    assert.equal(await at(), 3);
    await tab.keyboard.press('k');
    assert.equal(await at(), 2);
    await shot(tab, 'keys-row');
    const title = await tab.evaluate(() => document.activeElement.getAttribute('aria-label'));
    await tab.keyboard.press('Enter');
    await until(tab, 'the opened row', (text) => document.querySelector('.detail h1') && text.endsWith(document.querySelector('.detail h1').textContent), title);
    await tab.keyboard.press('Escape');
    await until(tab, 'the list', () => document.querySelector('.rows .row-link'));
    await tab.keyboard.press('?');
    await until(tab, 'the keys', () => document.querySelector('dialog[open] .keys'));
    await shot(tab, 'keys');
    await tab.keyboard.press('Escape');
    await until(tab, 'no dialog', () => !document.querySelector('dialog'));
    for (const [key, view] of [['s', 'subjects'], ['a', 'agents'], ['u', 'rules'], ['d', 'dead-letters'], ['f', 'flow'], ['q', 'ask'], ['r', 'recommendations']]) {
      await tab.keyboard.press('g');
      await tab.keyboard.press(key);
      await until(tab, view, (name) => document.querySelector(`.nav a[data-view="${name}"]`).getAttribute('aria-current') === 'page' && document.querySelector('main h1'), view);
    }
    await tab.keyboard.press('t');
    await until(tab, 'light by choice', () => document.documentElement.dataset.theme === 'light');
    await tab.keyboard.press('t');
    await until(tab, 'dark by choice', () => document.documentElement.dataset.theme === 'dark');
    await tab.reload();
    await until(tab, 'dark after a reload', () => document.documentElement.dataset.theme === 'dark' && document.querySelector('main h1'));
    assert.deepEqual(tab.complaints, []);
    await tab.evaluate(() => localStorage.clear());
    await tab.close();
  }],

  ['on a phone nothing sticks out, and the menu works', async () => {
    tab = await page(chromium, { viewport: PHONE });
    for (const [name, hash] of Object.entries(views)) {
      await visit(tab, base, hash);
      await shot(tab, `${name}-phone`);
      assert(!(await sideways(tab)), `${name} is wider than the phone`);
    }
    await tab.click('#menu');
    await until(tab, 'the menu', () => document.querySelector('#side').hasAttribute('data-open') && getComputedStyle(document.querySelector('#side')).visibility === 'visible');
    await shot(tab, 'menu-phone');
    await tab.click('.nav a[data-view="agents"]');
    await until(tab, 'the agents', () => document.querySelector('.agent-card') && !document.querySelector('#side').hasAttribute('data-open'));
    assert.deepEqual(tab.complaints, []);
    await tab.close();
  }],

  ['no view has a serious fault of accessibility, light or dark', async () => {
    for (const [scheme, viewport] of [['light', DESKTOP], ['dark', DESKTOP], ['light', PHONE]]) {
      tab = await page(chromium, { scheme, viewport, bypass: true });
      for (const [name, hash] of Object.entries(views)) {
        await visit(tab, base, hash);
        if (viewport === DESKTOP) await shot(tab, `${name}-${scheme}`);
        const faults = await axe(tab);
        assert.deepEqual(faults, [], `${name} in ${scheme} at ${viewport.width}`);
      }
      await tab.close();
    }
  }],
]);
await chromium.close();
process.exit(0);
