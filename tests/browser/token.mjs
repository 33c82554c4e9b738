// The console at an address that asks for a token: node token.mjs BASE TOKEN

import assert from 'node:assert/strict';
import { PHONE, axe, browser, page, shot, steps, textOf, until } from './kit.mjs';

const [base, token] = [process.argv[2], process.argv[3]];
const chromium = await browser();
const given = { headers: { authorization: `Bearer ${token}` } };
const rows = (await (await fetch(`${base}/api/v1/recommendations`, given)).json()).recommendations;
const count = (tab) => tab.$$eval('.rows .row-link', (links) => links.length);
const asks = (tab) => until(tab, 'the question for a token', () => document.querySelector('dialog[open] input[type="password"]') && document.querySelector('#link-state').dataset.state === 'refused');
const shown = (tab) => until(tab, 'the rows', (wanted) => document.querySelectorAll('.rows .row-link').length === wanted && !document.querySelector('dialog') && document.querySelector('#link-state').dataset.state === 'live', rows.length);
const say = async (tab, text) => {
  await tab.type('dialog input[type="password"]', text);
  await tab.keyboard.press('Enter');
};
// The browser itself notes every answer 401; nothing else may be among what it notes.
const complaints = (tab) => tab.complaints.filter((complaint) => !/status of 401/.test(complaint));

let tab = await page(chromium, { bypass: true });

await steps([
  ['there is something to hide', async () => {
    assert(rows.length >= 3);
    assert.equal((await fetch(`${base}/api/v1/recommendations`)).status, 401);
  }],

  ['without a token it asks for one, and says how to get one', async () => {
    await tab.goto(`${base}/`);
    await asks(tab);
    assert.equal(await textOf(tab, '#link-text'), 'Needs a token');
    assert((await textOf(tab, 'dialog')).includes('skyherd token NAME'));
    assert.equal(await tab.evaluate(() => document.activeElement.type), 'password');
    assert.equal(await count(tab), 0);
    assert.deepEqual(await axe(tab), []);
    await shot(tab, 'token');
  }],

  ['who declines sees why nothing is there, and can be asked again', async () => {
    await tab.keyboard.press('Escape');
    await until(tab, 'the words behind the question', () => !document.querySelector('dialog') && document.querySelector('main .state[role="alert"] button'));
    assert.equal(await count(tab), 0);
    assert(/token/i.test(await textOf(tab, 'main .state')));
    assert.equal(await tab.$eval('.banner', (node) => node.hidden), true);
    await shot(tab, 'token-declined');
    await tab.click('main .state button');
    await asks(tab);
  }],

  ['a wrong token is asked for again', async () => {
    await say(tab, 'wrong');
    await until(tab, 'the question anew', () => document.querySelector('dialog[open] input[type="password"]')?.value === '');
    assert.equal(await count(tab), 0);
    assert(/does not count/.test(await textOf(tab, 'dialog')), await textOf(tab, 'dialog'));
  }],

  ['the right one shows every row, live, and lasts for the tab', async () => {
    await say(tab, token);
    await shown(tab);
    await shot(tab, 'token-given');
    await tab.reload();
    await shown(tab);
    assert.deepEqual(complaints(tab), []);
  }],

  ['another tab does not have it; there it asks on a phone too', async () => {
    const other = await page(chromium, { viewport: PHONE });
    await other.goto(`${base}/#/agents`);
    await asks(other);
    await shot(other, 'token-phone');
    await say(other, token);
    await until(other, 'the agents', () => document.querySelector('.agent-card') && !document.querySelector('dialog'));
    assert.deepEqual(complaints(other), []);
    await other.close();
  }],
]);
await chromium.close();
process.exit(0);
