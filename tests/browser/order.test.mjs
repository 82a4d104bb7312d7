// Walks the page of an order: it verifies what is right, and says which check fails where something is forged.

import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { after, test } from 'node:test';
import { fromBase58, fromBase64, toBase58 } from '../../console/verify/bytes.js';
import { readTransaction } from '../../console/verify/transaction.js';
import { ask, assertAccessible, assertFits, change, close, open, picture } from './browser.mjs';

after(close);

const PAGE = '/orders/E001?by=number';
const { node } = await ask('/v1/chain');

/// The page suggests the server's node.
const suggested = (page) => page.waitForFunction(() => document.querySelector('input[name=node]')?.value);

/// Lets the page verify; hands back what every check came to.
async function verified(page) {
  await suggested(page);
  await page.getByRole('button', { name: 'Verify' }).click();
  await page.locator('.verdict:is(.passed, .failed)').waitFor();
  const steps = page.locator('.steps li');
  const all = await steps.evaluateAll((rows) => rows.map((row) => [row.dataset.step, row.dataset.state, row.lastElementChild.textContent]));
  return {
    verdict: await page.locator('.verdict').textContent(),
    states: Object.fromEntries(all.map(([step, state]) => [step, state])),
    texts: Object.fromEntries(all.map(([step, , text]) => [step, text])),
  };
}

/// The page, with answers of the node changed on their way: a node that lies.
async function withLyingNode(lie, path = PAGE, prepare = () => {}) {
  const opened = await open(path, {
    prepare: async (page) => {
      await page.route(`${node}/`, async (route) => {
        const asked = route.request().postDataJSON();
        if (!asked) return route.continue();
        return change(route, (answer) => lie(asked, answer));
      });
      await prepare(page);
    },
  });
  const result = await verified(opened.page);
  await opened.end();
  assert.equal(result.verdict, 'Something is wrong: see what failed below.');
  return result;
}

/// The page, with an answer of the API changed on its way: a server that lies.
const withLyingServer = (pattern, lie) => async (page) => {
  await page.route(pattern, (route) => change(route, lie));
};

const ALL = ['chain', 'transaction', 'event', 'content', 'signature', 'oracle', 'journal', 'inclusion'];

test('the page of an order says what was paid and granted, and everything of it verifies', async () => {
  const { page, end } = await open(PAGE);
  await page.getByRole('heading', { name: 'Order E001' }).waitFor();
  await page.getByText('+120 coins').waitFor();
  await page.getByText('Granted 120 coins').first().waitFor();
  const { verdict, states } = await verified(page);
  assert.deepEqual(states, Object.fromEntries(ALL.map((step) => [step, 'passed'])));
  assert.equal(verdict, 'Everything that was checked is right.');
  await assertAccessible(page);
  await assertFits(page);
  await picture(page, 'order');
  await end();
});

test('it can be verified by keyboard, on a phone, by night, in Chinese', async () => {
  const { page, end } = await open(PAGE, { locale: 'zh-CN', colorScheme: 'dark', viewport: { width: 360, height: 740 } });
  await suggested(page);
  await page.getByRole('textbox', { name: '节点地址' }).focus();
  await page.keyboard.press('Enter');
  await page.locator('.verdict.passed').waitFor();
  await assertAccessible(page);
  await assertFits(page);
  await picture(page, 'order-phone');
  await end();
});

test('a refund and a redemption verify as well', async () => {
  for (const number of ['R001', 'S001']) {
    const { page, end } = await open(`/orders/${number}?by=number`);
    const { states } = await verified(page);
    assert.deepEqual(states, Object.fromEntries(ALL.map((step) => [step, 'passed'])), number);
    await end();
  }
});

test('an unknown order is said to be unknown, and its name stays text', async () => {
  const { page, end } = await open(`/orders/${encodeURIComponent('<b onclick=alert(1)>none</b>')}?by=number`, { expected: ['404'] });
  await page.getByRole('alert').waitFor();
  assert.equal(await page.locator('main b').count(), 0);
  await end();
});

test('a node of another chain is told apart', async () => {
  const { states, texts } = await withLyingNode((asked, answer) => {
    if (asked.method === 'getGenesisHash') answer.result = toBase58(new Uint8Array(32).fill(7));
  });
  assert.equal(states.chain, 'failed');
  assert.match(texts.chain, /another chain/);
  assert.equal(states.inclusion, 'skipped');
});

test('a node that does not answer verifies nothing', async () => {
  const { page, end } = await open(PAGE, { expected: ['net::', 'Failed to load'] });
  await suggested(page);
  await page.getByRole('textbox', { name: 'Address of a node' }).fill('http://127.0.0.1:9');
  const { verdict, states, texts } = await verified(page);
  assert.equal(states.chain, 'failed');
  assert.match(texts.chain, /does not answer/);
  assert.match(verdict, /wrong/);
  await end();
});

test('a forged transaction fails by its own signature', async () => {
  const { states, texts } = await withLyingNode((asked, answer) => {
    if (asked.method !== 'getTransaction') return;
    const bytes = fromBase64(answer.result.transaction[0]);
    bytes[bytes.length - 1] ^= 1;
    answer.result.transaction[0] = Buffer.from(bytes).toString('base64');
  });
  assert.equal(states.transaction, 'failed');
  assert.match(texts.transaction, /forged/);
  assert.equal(states.event, 'skipped');
});

test('a forged event is not found in the transaction', async () => {
  const { states, texts } = await withLyingNode((asked, answer) => {
    if (asked.method !== 'getTransaction') return;
    for (const instruction of answer.result.meta.innerInstructions.flatMap(({ instructions }) => instructions)) {
      const data = fromBase58(instruction.data);
      data[data.length - 1] ^= 1;
      instruction.data = toBase58(data);
    }
  });
  assert.equal(states.transaction, 'passed');
  assert.equal(states.event, 'failed');
  assert.match(texts.event, /does not contain the event/);
});

test('a server that shows another amount than the chain has is found out', async () => {
  const lie = withLyingServer('**/v1/orders/E001?by=number', (order) => {
    order.records[0].amount = '601';
  });
  const { states, texts } = await withLyingNode(() => {}, PAGE, lie);
  assert.equal(states.event, 'passed');
  assert.equal(states.content, 'failed');
  assert.match(texts.content, /amount as 601, the event on chain says 600/);
});

test('a server that shows another outcome than the chain has is found out', async () => {
  const lie = withLyingServer('**/v1/orders/E001?by=number', (order) => { order.records[0].outcomes[0].amount = '121'; });
  const { states, texts } = await withLyingNode(() => {}, PAGE, lie);
  assert.equal(states.content, 'failed');
  assert.match(texts.content, /first recharge 20%.* as 121, the event on chain says 120/);
});

test('a forged signature of the oracle fails, in a transaction that is signed otherwise', async () => {
  // Server and node lie together: a transaction that somebody else paid for, with a signature that is not the oracle's.
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const payer = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  const { records: [{ transaction: { signature } }] } = await ask(PAGE.replace('/orders', '/v1/orders'));
  const call = { jsonrpc: '2.0', id: 1, method: 'getTransaction', params: [signature, { encoding: 'base64', maxSupportedTransactionVersion: 1 }] };
  const answer = await fetch(node, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(call) });
  const bytes = fromBase64((await answer.json()).result.transaction[0]);
  const { message, keys, instructions, signatures } = readTransaction(bytes);
  assert.equal(signatures.length, 1, 'somebody else signs, too');
  keys[0].set(payer);
  const ed25519 = instructions.find(({ program }) => toBase58(keys[program]).startsWith('Ed25519'));
  ed25519.data[50] ^= 1;
  const forged = sign(null, message, privateKey);
  signatures[0].set(forged);
  const wire = Buffer.from(bytes).toString('base64');
  const lie = withLyingServer('**/v1/orders/E001?by=number', (order) => { order.records[0].transaction.signature = toBase58(forged); });
  const { states, texts } = await withLyingNode(async (asked, said) => {
    if (asked.method !== 'getTransaction') return;
    const honest = await fetch(node, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(call) });
    said.result = (await honest.json()).result;
    said.result.transaction[0] = wire;
  }, PAGE, lie);
  assert.equal(states.transaction, 'passed', texts.transaction);
  assert.equal(states.event, 'passed', texts.event);
  assert.equal(states.content, 'passed', texts.content);
  assert.equal(states.signature, 'failed');
  assert.match(texts.signature, /oracle’s signature is forged/);
});

test('a forged inclusion proof fails', async () => {
  const lie = withLyingServer('**/v1/orders/E001/proof?by=number', (proof) => {
    proof.path[1] = proof.path[1].replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
  });
  const { states, texts } = await withLyingNode(() => {}, PAGE, lie);
  assert.equal(states.journal, 'passed');
  assert.equal(states.inclusion, 'failed');
  assert.match(texts.inclusion, /inclusion proof is forged/);
});

test('a journal that is not the one of the proof fails', async () => {
  const { journal } = await ask('/v1/integrity');
  const { states, texts } = await withLyingNode((asked, answer) => {
    if (asked.method !== 'getAccountInfo' || asked.params[0] !== journal) return;
    const data = fromBase64(answer.result.value.data[0]);
    // A byte of every peak; whose journal it is, and how many events it has, stays.
    for (let at = 8 + 32 + 8; at < data.length - 64; at += 32) data[at] ^= 1;
    answer.result.value.data[0] = Buffer.from(data).toString('base64');
  });
  assert.equal(states.inclusion, 'failed');
  assert.match(texts.inclusion, /is not the journal on chain/);
});

test('an account that only looks like the journal is not believed', async () => {
  const { journal } = await ask('/v1/integrity');
  const { states, texts } = await withLyingNode((asked, answer) => {
    if (asked.method === 'getAccountInfo' && asked.params[0] === journal) answer.result.value.owner = '11111111111111111111111111111111';
  });
  assert.equal(states.journal, 'failed');
  assert.match(texts.journal, /belongs to/);
});

test('a browser without Ed25519 of its own verifies by the code that comes with the page', async () => {
  const { page, end } = await open(PAGE, {
    prepare: (page) => page.addInitScript(() => Object.defineProperty(globalThis.crypto, 'subtle', { value: undefined })),
  });
  const { states, texts } = await verified(page);
  assert.deepEqual(states, Object.fromEntries(ALL.map((step) => [step, 'passed'])));
  assert.match(texts.signature, /@noble\/ed25519/);
  await end();
});

test('the proof still leads to the journal once it has grown', async () => {
  // As if the server had not read the last events yet: it proves in a smaller tree, and that the journal goes on from it.
  const { journal_index: index, tree: { leaf_count: now } } = await ask('/v1/orders/E001/proof?by=number');
  const lie = withLyingServer('**/v1/orders/E001/proof?by=number', (proof) => smallerProof(proof, index, now - 3));
  const { page, end } = await open(PAGE, { prepare: lie });
  const { states, texts } = await verified(page);
  assert.equal(states.inclusion, 'passed', texts.inclusion);
  assert.match(texts.inclusion, /consistency proof/);
  await end();
});

/// The proof of the same leaf in the tree of the first `size` leaves, where the order is among the first half: what is left
/// of it stays, and the last node, over all that is right of that half, comes from a consistency proof.
async function smallerProof(proof, index, size) {
  const { from: { head } } = await ask(`/v1/consistency?from=${size}&to=${proof.tree.leaf_count}`);
  const half = 2 ** Math.floor(Math.log2(size - 1));
  assert.ok(index < half, 'the order is not among the first half');
  const { proof: [right] } = await ask(`/v1/consistency?from=${half}&to=${size}`);
  return { ...proof, path: [...proof.path.slice(0, -1), right], tree: { leaf_count: size, head } };
}
