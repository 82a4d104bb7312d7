// Walks the operators' console.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { api, ask, assertAccessible, assertFits, change, close, has, key, open, picture } from './browser.mjs';

after(close);

const HOSTILE = '<img src=x onerror=alert(1)>\'; DROP TABLE payments; --';

test('the overview shows what the API has', async () => {
  const { page, end } = await open('/');
  const { items } = await ask('/v1/orders?limit=200');
  await page.locator('.tile', { hasText: 'Payments' }).getByText(String(items.length), { exact: true }).waitFor();
  await page.locator('.tile.good', { hasText: 'Integrity' }).getByText('agree', { exact: true }).waitFor();
  assert.equal(await page.locator('.feed li').count(), 12);
  assert.equal(await page.locator('.chart canvas').count(), 1);
  await assertAccessible(page);
  await assertFits(page);
  await picture(page, 'overview');
  await end();
});

const PAGES = ['', 'orders', 'rules', 'rules/1', 'rules/draft', 'analytics', 'integrity', 'dead-letters', 'audit'];

for (const [look, options] of [
  ['by day', {}],
  ['by night', { colorScheme: 'dark' }],
  ['on a phone', { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }],
  ['in Chinese, on a phone by night', { locale: 'zh-CN', colorScheme: 'dark', viewport: { width: 360, height: 740 } }],
]) {
  test(`every page is accessible and fits ${look}`, async () => {
    // What this server was not set up for answers 503.
    const { page, end } = await open('/', { as: key, expected: ['503'], ...options });
    for (const name of PAGES) {
      await page.goto(`${api}/#/${name}`);
      await page.locator('h1').waitFor();
      await page.waitForLoadState('networkidle', { timeout: 3_000 }).catch(() => {});
      await assertAccessible(page);
      await assertFits(page);
      if (look === 'by day' && ['rules', 'integrity'].includes(name)) await picture(page, name);
    }
    await page.goto(`${api}/#/`);
    await page.locator('.tile.good').waitFor();
    if (look === 'on a phone') await picture(page, 'phone');
    if (look === 'by night') await picture(page, 'dark');
    if (look.startsWith('in Chinese')) {
      assert.equal(await page.locator('html').getAttribute('lang'), 'zh-Hans');
      await page.getByRole('heading', { name: '今晚实况' }).waitFor();
      await picture(page, 'chinese');
    }
    await end();
  });
}

test('the console can be walked by keyboard alone', async () => {
  const { page, end } = await open('/');
  await page.locator('.tile').first().waitFor();
  const focused = () => page.evaluate(() => document.activeElement?.textContent);
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Skip to content');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  // Back to the navigation, and on to the orders.
  for (let presses = 0; (await focused()) !== 'Orders'; presses += 1) {
    assert.ok(presses < 20, 'the navigation is not reached');
    await page.keyboard.press('Shift+Tab');
  }
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, 'solid', 'whoever walks by keyboard does not see where they are');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Orders' }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  await page.keyboard.press('Tab');
  await page.keyboard.type('E001');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Order E001' }).waitFor();
  await page.getByText('+120 coins').first().waitFor();
  await end();
});

test('an order is found by its number and by its hash, and a user by their key', async () => {
  const { page, end } = await open('/#/orders', { expected: ['404'] });
  const { records: [{ order, user }] } = await ask('/v1/orders/E003?by=number');
  const find = async (text) => {
    await page.goto(`${api}/#/orders`);
    await page.getByRole('searchbox').fill(text);
    await page.getByRole('button', { name: 'Find' }).click();
  };
  await find(' E003 ');
  await page.getByRole('heading', { name: 'Order E003' }).waitFor();
  assert.match(await page.getByRole('link', { name: 'The page for the user' }).getAttribute('href'), /^\/orders\/E003\?by=number/);
  await find(order.toUpperCase());
  await page.locator('h1 code', { hasText: order.slice(0, 6) }).waitFor();
  await find(user);
  await page.getByText('Orders of user').waitFor();
  const { items } = await ask(`/v1/orders?user=${user}&limit=50`);
  await page.locator('tbody tr').nth(items.length - 1).waitFor();
  assert.equal(await page.locator('tbody tr').count(), items.length);
  await end();
});

test('HTML and SQL in a text field are text, and so is whatever the API says', async () => {
  const { page, end } = await open('/#/orders', { expected: ['404', '400'] });
  await page.getByRole('searchbox').fill(HOSTILE);
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByRole('alert').waitFor();
  assert.equal(await page.locator('main img').count(), 0);
  await page.goto(`${api}/#/orders/${encodeURIComponent(HOSTILE)}?by=number`);
  await page.getByRole('alert').waitFor();
  assert.equal(await page.locator('main img').count(), 0);
  // A name on chain can be anything of 32 bytes.
  await page.route('**/v1/rules*', (route) => change(route, (rules) => {
    rules.items[0].name = HOSTILE;
  }));
  await page.goto(`${api}/#/`);
  await page.getByText(HOSTILE, { exact: true }).first().waitFor();
  assert.equal(await page.locator('main img').count(), 0);
  const { items } = await ask('/v1/orders?limit=200');
  assert.ok(items.length > 0, 'the table of payments is gone');
  await end();
});

const drafts = await has('/v1/rules/check');

test('a draft is checked while it is written, tested, and made into a transaction that nobody has signed', { skip: !drafts }, async () => {
  const { page, end } = await open('/#/rules/draft', { as: key });
  const text = page.getByLabel('Rule file (TOML)');
  await page.getByText('Nothing is wrong with it.').waitFor();
  const before = await text.inputValue();
  assert.match(before, /\[\[rule\]\]/);
  await text.fill(`${before}\n[[rule]]\nid = "<b>eleven</b>"\n`);
  await page.getByText('It cannot be published like this.').waitFor();
  await page.getByRole('button', { name: /^line \d+, column \d+$/ }).click();
  assert.equal(await page.evaluate(() => document.activeElement.name), 'toml');
  assert.equal(await page.locator('#draft-said b').count(), 0);
  await text.fill(before);
  await page.getByText('Nothing is wrong with it.').waitFor();

  await page.getByText('Put a rule together in a form').click();
  await page.getByLabel('Number', { exact: true }).fill('2');
  await page.getByLabel('Name', { exact: true }).fill('a "warmer" welcome');
  await page.locator('select[name=kind]').selectOption('fixed');
  await page.getByLabel('Amount', { exact: true }).fill('200');
  await page.getByLabel('Group', { exact: true }).fill('1');
  await page.getByLabel('Conditions, one a line; all must hold').fill('payment_number <= 3');
  await page.getByLabel('Budget, amount').fill('100000');
  await page.getByRole('button', { name: 'Put into the draft' }).click();
  await page.locator('#draft-said').getByText('a "warmer" welcome').first().waitFor();
  await page.locator('#draft-said .chip.loss', { hasText: 'changed' }).first().waitFor();
  const numbered = (file) => file.split('[[rule]]').slice(1).filter((rule) => /^id = 2$/m.test(rule)).length;
  assert.equal(numbered(await text.inputValue()), 1);
  await assertAccessible(page);

  await page.getByRole('button', { name: 'Test the draft' }).click();
  await page.getByRole('heading', { name: 'By tenths of the users' }).waitFor({ timeout: 30_000 });
  await page.locator('tr', { hasText: '2 a "warmer" welcome' }).waitFor();
  await assertAccessible(page);
  await picture(page, 'backtest');

  await page.getByRole('button', { name: 'Make the transactions' }).click();
  const unsigned = page.getByLabel('Unsigned, base64').first();
  await unsigned.waitFor();
  // A legacy or version 0 transaction with one signature, all zeros.
  assert.match(await unsigned.inputValue(), /^AQAAAAAAAAAAAAAAAAAAA/);
  await page.getByText('There is no wallet in this browser').waitFor();
  await assertAccessible(page);
  await assertFits(page);
  await end();
});

test('a wallet of the browser is asked to sign, and shown what', { skip: !drafts }, async () => {
  const { page, end } = await open('/#/rules/draft?rule=2', {
    as: key,
    prepare: (page) => page.addInitScript(() => {
      // By the Wallet Standard; it notes what it is asked.
      const features = {
        'standard:connect': { connect: async () => ({ accounts: [{ address: 'me' }] }) },
        'solana:signAndSendTransaction': { signAndSendTransaction: async (asked) => {
          globalThis.asked = { chain: asked.chain, bytes: asked.transaction.length };
          return [{ signature: new Uint8Array(64).fill(1) }];
        } },
      };
      const announce = () => window.dispatchEvent(new CustomEvent('wallet-standard:register-wallet', { detail: ({ register }) => register({ name: 'A wallet', features }) }));
      window.addEventListener('wallet-standard:app-ready', announce);
      announce();
    }),
  });
  await page.getByText('Nothing is wrong with it.').waitFor();
  await page.getByLabel('Amount', { exact: true }).fill('150');
  await page.getByRole('button', { name: 'Put into the draft' }).click();
  await page.locator('#draft-said .chip.loss', { hasText: 'changed' }).first().waitFor();
  await page.getByRole('button', { name: 'Make the transactions' }).click();
  await page.getByRole('button', { name: 'Sign with A wallet' }).first().click();
  await page.getByText(/^Sent as /).waitFor();
  const asked = await page.evaluate(() => globalThis.asked);
  assert.equal(asked.chain, 'solana:localnet');
  assert.ok(asked.bytes > 200 && asked.bytes <= 1232, `${asked.bytes} bytes`);
  await end();
});

test('analytics show a measure with its definition, as a chart, a table and a CSV', { skip: !(await has('/v1/analytics/{measure}')) }, async () => {
  // The demo's evening is months ago by the clock of its chain, which went on until something expired.
  const { items } = await ask('/v1/orders?limit=200');
  const first = items.map(({ paid_at: at }) => at).sort()[0].slice(0, 10);
  const { page, end } = await open(`/#/analytics?measure=grants&by=rule&every=day&from=${first}`);
  const { rows, definition } = await ask(`/v1/analytics/grants?by=rule&every=day&from=${first}T00:00:00%2B08:00`);
  assert.ok(rows.length > 0);
  await page.getByText(definition.text).waitFor();
  await page.locator('tbody tr').nth(rows.length - 1).waitFor();
  assert.equal(await page.locator('tbody tr').count(), rows.length);
  assert.equal(await page.locator('.chart canvas').count(), 1);
  await assertAccessible(page);
  await picture(page, 'analytics');
  const csv = await page.getByRole('link', { name: 'Download CSV' }).getAttribute('href');
  const answer = await fetch(`${api}${csv}`);
  assert.match(answer.headers.get('content-type'), /^text\/csv/);
  assert.equal((await answer.text()).trim().split('\n').length, rows.length + 1);
  // Every measure there is, by the form.
  const { measures } = await ask('/v1/analytics');
  for (const { measure } of measures) {
    await page.locator('select[name=by]').selectOption('none');
    await page.locator('select[name=measure]').selectOption(measure);
    await page.locator('.facts dt', { hasText: 'Numerator' }).waitFor();
  }
  await end();
});

test('what operators alone may see asks for a key, which stays in the tab', { skip: !key }, async () => {
  const { page, end } = await open('/#/audit', { expected: ['401'] });
  await page.getByLabel('Operator’s key').fill('rop_0000000000000000_wrong');
  await page.getByRole('button', { name: 'Use this key' }).click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Operator’s key').fill(key);
  await page.getByRole('button', { name: 'Use this key' }).click();
  await page.locator('tbody tr', { hasText: 'key.create' }).first().waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem('rebate.key')), null);
  assert.equal(await page.evaluate(() => sessionStorage.getItem('rebate.key')), key);
  assert.ok(!page.url().includes(key));
  await assertAccessible(page);
  await picture(page, 'audit');
  await page.getByRole('button', { name: 'Forget the key' }).click();
  await page.getByLabel('Operator’s key').waitFor();
  await end();
});

test('nothing but the console’s own files runs in it', async () => {
  const answer = await fetch(`${api}/`);
  const policy = answer.headers.get('content-security-policy');
  assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
  assert.equal(answer.headers.get('referrer-policy'), 'no-referrer');
  const again = await fetch(`${api}/`, { headers: { 'If-None-Match': answer.headers.get('etag') } });
  assert.equal(again.status, 304);
  for (const [path, type] of [['main.js', 'text/javascript'], ['style.css', 'text/css'], ['icon.svg', 'image/svg+xml']]) {
    assert.match((await fetch(`${api}/console/${path}`)).headers.get('content-type'), new RegExp(`^${type.replace('+', '\\+')}`));
  }
  for (const path of ['none.js', '../Cargo.toml', '%2e%2e/Cargo.toml', '..%2f..%2fetc%2fpasswd']) {
    assert.equal((await fetch(`${api}/console/${path}`)).status, 404, path);
  }
});

test('a page says so plainly where the server is down, and recovers by itself', async () => {
  const { page, end } = await open('/', { expected: ['Failed to load resource', 'net::'] });
  await page.locator('.tile.good').waitFor();
  await page.route('**/v1/**', (route) => route.abort());
  await page.getByText('Not connected').waitFor();
  await page.unroute('**/v1/**');
  await page.getByText(/^Live/).waitFor();
  await end();
});
