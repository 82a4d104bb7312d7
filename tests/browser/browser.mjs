// A headless Chromium, the page under test, and what every page must hold to.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

/// The API that serves the console, without a slash at the end.
export const api = process.env.REBATE_API;

/// The key of an operator who may do everything, where the server knows any.
export const key = process.env.REBATE_KEY;

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/// Chromium looks for nothing of its own on the network.
const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

let browser;

/// Opens a page of its own, which fails the test for whatever it logs as an error. `expected` are pieces of such errors that
/// the test brings about; `as` is an operator's key.
export async function open(path, { expected = [], prepare, as = null, ...options } = {}) {
  browser ??= await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGUMENTS });
  const context = await browser.newContext({ locale: 'en-US', reducedMotion: 'reduce', viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const errors = [];
  const note = (text) => expected.some((piece) => text.includes(piece)) || errors.push(text);
  page.on('pageerror', (error) => note(String(error.stack)));
  page.on('console', (message) => message.type() === 'error' && note(message.text()));
  page.on('dialog', (dialog) => {
    errors.push(`a dialog opened: ${dialog.message()}`);
    dialog.dismiss();
  });
  if (as) await page.addInitScript((as) => sessionStorage.setItem('rebate.key', as), as);
  await prepare?.(page);
  await page.goto(`${api}${path}`);
  return {
    page,
    /// Nothing went wrong that nobody looked for.
    async end() {
      assert.deepEqual(errors, []);
      // A request that a route still holds is nobody's any more.
      await page.unrouteAll({ behavior: 'ignoreErrors' });
      await context.unrouteAll({ behavior: 'ignoreErrors' });
      await context.close();
    },
  };
}

export async function close() {
  await browser?.close();
}

/// No violation of WCAG 2.1 A and AA, contrast among it, nor of what is good practice.
export async function assertAccessible(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'],
  }));
  const said = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map(({ html }) => html).join(' ')}`);
  assert.deepEqual(said, [], `${page.url()} is not accessible`);
}

/// The page itself never scrolls sideways.
export async function assertFits(page) {
  const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= room, `${page.url()} is ${wide} wide, and there is room for ${room}`);
}

/// Takes a picture where pictures are wanted.
export async function picture(page, name) {
  const folder = process.env.REBATE_SCREENSHOTS;
  if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
}

/// Changes an answer on its way to the page, whichever the page has already.
export async function change(route, lie) {
  const { 'if-none-match': _, ...headers } = route.request().headers();
  const answer = await route.fetch({ headers });
  const json = await answer.json();
  await route.fulfill({ response: answer, json: (await lie(json)) ?? json });
}

/// What the API answers.
export async function ask(path) {
  const answer = await fetch(`${api}${path}`);
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
}

/// Whether the server has a path.
export async function has(path) {
  return path in (await ask('/openapi.json')).paths;
}
