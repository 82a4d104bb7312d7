// Watches an evening while it is played: started before the first payment, or soon after.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ask, close, open } from './browser.mjs';

after(close);

test('the overview follows the evening as it happens', async () => {
  const { page, end } = await open('/');
  const payments = page.locator('.tile', { hasText: 'Payments' }).locator('.tile-value');
  const seen = new Set();
  // The first order of the file is there once the page shows its grant; the last ones follow without a reload.
  const until = Date.now() + 60_000;
  for (let now = 0; now < 56;) {
    assert.ok(Date.now() < until, `payments seen: ${[...seen].join(', ')}`);
    now = Number(await payments.textContent({ timeout: 30_000 }));
    seen.add(now);
    await page.waitForTimeout(100);
  }
  assert.ok(seen.size >= 4, `the evening was not seen as it happened, only at ${[...seen].join(', ')} payments`);
  await page.locator('.tile.good', { hasText: 'Integrity' }).waitFor();
  const { items: [latest] } = await ask('/v1/orders?limit=1');
  await page.locator(`.feed li:first-child a[href="#/orders/${latest.order}"]`).waitFor();
  await end();
});
