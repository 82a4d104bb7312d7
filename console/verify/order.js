// Verifies one order in the browser: what this server shows of it is held against the chain, as a node shows it that whoever
// looks has chosen, and nothing that the server says is relied on but where to look.

import { accountOf, readJournal, readOracles } from './accounts.js';
import { equal, fromBase58, fromBase64, fromHex, fromText, toBase58, toHex } from './bytes.js';
import { sha256, verifies } from './crypto.js';
import { headByInclusion, headOf, isConsistent, leafHash } from './merkle.js';
import { NodeError } from './node.js';
import { TAG, readEvent, readMessage, readSigned, signedRecord } from './record.js';
import { readTransaction } from './transaction.js';

/// What is checked, in order.
export const STEPS = ['chain', 'transaction', 'event', 'content', 'signature', 'oracle', 'journal', 'inclusion'];

const ED25519 = 'Ed25519SigVerify111111111111111111111111111';

/// How often a journal that moves on meanwhile is asked for again.
const TRIES = 5;

/// A check that came out wrong: which sentence says so, with what.
class Wrong extends Error {
  constructor(key, values = {}) {
    super(key);
    this.key = key;
    this.values = values;
  }
}

const must = (holds, key, values) => {
  if (!holds) throw new Wrong(key, values);
};

/// Runs every check and tells of each: its step, `running`, `passed`, `failed`, `open` (cannot be told) or `skipped` (another
/// it needs has failed), and the key and values of a sentence about it. Resolves to whether all came out right.
///
/// `chain`: what `/v1/chain` says. `shown`: the record that the page shows. `number`: the order's number, where the page knows
/// it. `prove()`: asks for `/v1/orders/{order}/proof`. `consistency(from, to)`: asks for `/v1/consistency`.
export async function verifyOrder({ node, chain, shown, number, prove, consistency }, tell) {
  let right = true;
  const outcomes = new Map();
  const step = async (id, needs, check) => {
    if (needs.some((other) => outcomes.get(other) !== 'passed')) {
      outcomes.set(id, 'skipped');
      right = false;
      tell(id, 'skipped', 'verify.skipped', {});
      return undefined;
    }
    tell(id, 'running', `verify.${id}.running`, {});
    try {
      const { values = {}, key = `verify.${id}.passed`, state = 'passed', result } = await check();
      outcomes.set(id, state);
      tell(id, state, key, values);
      return result;
    } catch (error) {
      right = false;
      outcomes.set(id, 'failed');
      const known = error instanceof Wrong ? error : new Wrong(nameOf(error), { why: error.message });
      tell(id, 'failed', known.key, known.values);
      return undefined;
    }
  };

  await step('chain', [], async () => {
    const genesis = await node.genesisHash();
    must(genesis === chain.genesis_hash, 'verify.chain.other', { genesis });
    return { values: { node: node.url, genesis } };
  });

  const transaction = await step('transaction', ['chain'], async () => {
    const { signature } = shown.transaction;
    const found = await node.transaction(signature);
    must(found, 'verify.transaction.none', { signature });
    must(!found.meta?.err, 'verify.transaction.ended', {});
    const read = readTransaction(fromBase64(found.transaction[0]));
    must(read.signatures.length > 0 && toBase58(read.signatures[0]) === signature, 'verify.transaction.other', {});
    let by;
    for (const [at, signed] of read.signatures.entries()) {
      const checked = await verifies(read.keys[at], signed, read.message);
      by = checked.by;
      must(checked.valid, 'verify.transaction.forged', { key: toBase58(read.keys[at]) });
    }
    const loaded = found.meta.loadedAddresses ?? { writable: [], readonly: [] };
    const accounts = [...read.keys.map(toBase58), ...loaded.writable, ...loaded.readonly];
    return { values: { slot: found.slot, by }, result: { ...read, accounts, inner: found.meta.innerInstructions ?? [] } };
  });

  let proof;
  const emitted = await step('event', ['transaction'], async () => {
    proof = await prove();
    const claimed = fromHex(proof.event);
    for (const { index, instructions } of transaction.inner) {
      for (const { programIdIndex, accounts, data } of instructions) {
        const bytes = fromBase58(data);
        const isEvent = transaction.accounts[programIdIndex] === chain.program
          && transaction.accounts[accounts[0]] === chain.event_authority
          && equal(bytes.subarray(0, TAG.length), TAG);
        if (isEvent && equal(bytes.subarray(TAG.length), claimed)) {
          return { values: { bytes: claimed.length, program: chain.program }, result: { index, bytes: claimed } };
        }
      }
    }
    throw new Wrong('verify.event.none');
  });

  const event = await step('content', ['event'], async () => {
    const read = await readEvent(emitted.bytes);
    must(read, 'verify.content.kind', {});
    const order = number === null ? shown.order : toHex(await sha256(fromText(number)));
    const differs = difference(read, { ...shown, order, platform: proof.platform });
    must(!differs, 'verify.content.differs', differs ?? {});
    return { values: { outcomes: read.outcomes.length, index: read.journalIndex }, result: read };
  });

  await step('signature', ['content'], async () => {
    const before = transaction.instructions[emitted.index - 1];
    must(before && transaction.accounts[before.program] === ED25519, 'verify.signature.none', {});
    const signed = readSigned(before.data);
    must(signed, 'verify.signature.layout', {});
    const { valid, by } = await verifies(signed.key, signed.signature, signed.message);
    must(valid, 'verify.signature.forged', { by });
    const key = toBase58(signed.key);
    must(key === event.oracle, 'verify.signature.key', { key, oracle: event.oracle });
    const message = readMessage(signed.message);
    const isForUs = message.program === chain.program && message.platform === event.platform;
    must(isForUs, 'verify.signature.elsewhere', {});
    const wanted = signedRecord(event);
    must(message.records.some((record) => equal(record, wanted)), 'verify.signature.record', {});
    return { values: { by, key } };
  });

  await step('oracle', ['content'], async () => {
    const account = await node.account(event.platform);
    const keys = readOracles(await accountOf(account, chain.program, 'Platform'));
    const known = keys.find(({ key }) => key === event.oracle);
    if (!known) return { state: 'open', key: 'verify.oracle.gone', values: { key: event.oracle } };
    const could = event.at >= known.from && (known.until === 0n || event.at < known.until);
    must(could, 'verify.oracle.invalid', { key: event.oracle });
    return { values: { key: event.oracle } };
  });

  const journal = await step('journal', ['event'], async () => {
    const account = await node.account(proof.journal);
    const read = readJournal(await accountOf(account, chain.program, 'Journal'));
    must(read.platform === proof.platform, 'verify.journal.other', { platform: read.platform });
    const head = await headOf(read.count, read.peaks);
    return { values: { count: read.count, head: toHex(head) }, result: { count: read.count, head } };
  });

  await step('inclusion', ['journal'], async () => {
    const nodes = proof.path.map(fromHex);
    const [index, size, head] = [BigInt(proof.journal_index), BigInt(proof.tree.leaf_count), fromHex(proof.tree.head)];
    const reached = await headByInclusion(index, size, await leafHash(emitted.bytes), nodes);
    must(reached && equal(reached, head), 'verify.inclusion.path', { index });
    must(await leads(size, head, journal, consistency), 'verify.inclusion.head', { size, count: journal.count });
    const values = { index, size, hashes: nodes.length, head: toHex(head) };
    return { values, key: size === journal.count ? undefined : 'verify.inclusion.grown' };
  });

  return right;
}

/// Whether the tree that the proof is in and the journal on chain are one: the same, or one goes on from the other.
async function leads(size, head, journal, consistency) {
  if (size === journal.count) return equal(head, journal.head);
  const [small, large] = size < journal.count ? [size, journal.count] : [journal.count, size];
  const [older, newer] = size < journal.count ? [head, journal.head] : [journal.head, head];
  for (let tries = 0; tries < TRIES; tries += 1) {
    try {
      const { proof } = await consistency(small, large);
      return isConsistent(small, older, large, newer, proof.map(fromHex));
    } catch (error) {
      // The chain can be ahead of what the server has read.
      if (error.status !== 404) throw error;
      await new Promise((resolve) => { setTimeout(resolve, 500); });
    }
  }
  throw new Wrong('verify.inclusion.behind', { size, count: journal.count });
}

/// What an event says otherwise than what is shown.
function difference(event, shown) {
  const seconds = (text) => BigInt(Math.floor(Date.parse(text) / 1000));
  const pairs = [
    ['platform', event.platform, shown.platform],
    ['order', event.order, shown.order],
    ['user', event.user, shown.user],
    ['oracle', event.oracle, shown.oracle],
    ['amount', event.amount, shown.amount],
    ['paid_at', event.paidAt, seconds(shown.paid_at ?? shown.redeemed_at)],
    ['journal_index', event.journalIndex, shown.journal_index],
    ['outcomes', event.outcomes.length, shown.outcomes?.length ?? 0],
  ];
  if (event.kind === 'PaymentRecorded') {
    for (const name of ['product', 'streamer', 'session', 'tier', 'segments']) pairs.push([name, event[name], shown[name]]);
    pairs.push(['payment_number', event.number, shown.payment_number]);
  }
  for (const [at, outcome] of event.outcomes.entries()) {
    for (const name of ['rule', 'version', 'reason', 'asset', 'amount', 'before', 'after']) {
      pairs.push([`${name} (${shown.outcomes?.[at]?.rule_name ?? at})`, outcome[name], shown.outcomes?.[at]?.[name]]);
    }
  }
  const found = pairs.find(([, ofEvent, ofPage]) => String(ofEvent) !== String(ofPage));
  return found && { field: found[0], event: String(found[1]), page: String(found[2]) };
}

/// Which sentence tells of an error that is not a check's own.
function nameOf(error) {
  if (error instanceof NodeError) return 'verify.unreachable';
  if (error instanceof RangeError || error instanceof TypeError) return 'verify.malformed';
  return 'verify.unanswered';
}
