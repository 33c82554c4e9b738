// A browser for tests: Debian's Chromium, everything it complains of, axe, pictures.
//
// SKYHERD_TEST_BROWSER is Chromium's path, SKYHERD_TEST_BROWSER_MODULES the folder with node_modules,
// SKYHERD_TEST_SHOTS (if set) the folder pictures are written to.

import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const modules = createRequire(join(process.env.SKYHERD_TEST_BROWSER_MODULES, 'node_modules', 'x.js'));
const { launch } = modules('puppeteer-core');
const axeText = readFileSync(modules.resolve('axe-core/axe.min.js'), 'utf8');

/** Longest wait for anything, in milliseconds: far above what a loaded machine needs. */
export const PATIENCE = 60_000;
export const DESKTOP = { width: 1440, height: 900 };
export const PHONE = { width: 360, height: 740, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

const shots = process.env.SKYHERD_TEST_SHOTS;
if (shots) mkdirSync(shots, { recursive: true });

/** A browser that is closed when the process ends. */
export async function browser(extra = []) {
  return launch({
    executablePath: process.env.SKYHERD_TEST_BROWSER,
    headless: true,
    // Its life hangs on a pipe to this process, however this one ends.
    pipe: true,
    protocolTimeout: PATIENCE * 3,
    // Without a sandbox since tests may run as root; the pages are our own.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--hide-scrollbars', '--force-color-profile=srgb', '--no-proxy-server', ...extra],
  });
}

/** A page that keeps what it complains of in `complaints`. */
export async function page(from, { viewport = DESKTOP, scheme = 'light', motion = 'reduce', bypass = false } = {}) {
  const tab = await from.newPage();
  tab.setDefaultTimeout(PATIENCE);
  if (bypass) await tab.setBypassCSP(true);
  tab.complaints = [];
  tab.on('console', (message) => ['error', 'warn'].includes(message.type()) && tab.complaints.push(`${message.type()}: ${message.text()} (${message.location()?.url ?? ''})`));
  tab.on('pageerror', (error) => tab.complaints.push(`thrown: ${error.stack ?? error.message}`));
  await tab.setViewport({ deviceScaleFactor: 1, ...viewport });
  await tab.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }, { name: 'prefers-reduced-motion', value: motion }]);
  return tab;
}

/** Waits until `check`, run in the page, is truthy; says what it waited for. */
export async function until(tab, what, check, ...given) {
  try {
    return await tab.waitForFunction(check, { polling: 'raf', timeout: PATIENCE }, ...given);
  } catch (error) {
    const seen = await tab.evaluate(() => document.body.innerText.slice(0, 2_000)).catch(() => '');
    throw new Error(`waited in vain for ${what}: ${error.message}\nthe page says:\n${seen}\nand complained of ${JSON.stringify(tab.complaints)}`);
  }
}

/** Goes to a place of the console and waits until it shows something. */
export async function visit(tab, base, hash) {
  await tab.goto(`${base}/#${hash}`);
  await until(tab, `${hash} to be loaded`, () => document.querySelector('main h1') && !document.querySelector('main .skeleton'));
}

/** Text of the first match. */
export const textOf = (tab, selector) => tab.$eval(selector, (node) => node.textContent.trim());

/** Writes a picture if pictures are wanted. */
export async function shot(tab, name) {
  if (shots) await tab.screenshot({ path: join(shots, `${name}.png`) });
}

/** What axe finds serious or critical; the page must have been opened with `bypass`. */
export async function axe(tab) {
  await tab.evaluate(axeText);
  return tab.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ['violations'] });
    return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, help, nodes }) => nodes.slice(0, 3).map((node) => `${id}: ${help}: ${node.html.slice(0, 160)} ${node.any.map((one) => one.message).join('; ').slice(0, 200)}`));
  });
}

/** Whether anything sticks out sideways. */
export const sideways = (tab) => tab.evaluate(() => {
  const main = document.querySelector('main');
  return document.documentElement.scrollWidth > innerWidth || main.scrollWidth > main.clientWidth;
});

const input = createInterface({ input: process.stdin });
const waiting = [];
input.on('line', (line) => waiting.shift()?.(line));
// Whoever started this is gone.
input.on('close', () => process.exit(1));

/** Asks the program that started this one for something, such as to stop the service, and waits for its word. */
export async function request(what) {
  const answer = new Promise((resolve) => { waiting.push(resolve); });
  process.stdout.write(`@${what}\n`);
  return answer;
}

/** Runs steps in order, each named; the name of one that fails is told. */
export async function steps(list) {
  for (const [name, step] of list) {
    const began = performance.now();
    try {
      await step();
    } catch (error) {
      error.message = `${name}: ${error.message}`;
      throw error;
    }
    console.log(`${name} (${Math.round(performance.now() - began)} ms)`);
  }
}
