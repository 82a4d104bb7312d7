// What the program emits about a record, and what an oracle signs of it.

import { Reader, concat, equal, fromHex, fromText, i64, toBase58, toHex, u16, u32, u64 } from './bytes.js';
import { sha256 } from './crypto.js';

/// What the data of an event's self-invocation begins with: Anchor's tag, little-endian.
export const TAG = fromHex('e445a52e51cb9a1d');

/// Anchor's discriminator: of an event `event:Name`, of an account `account:Name`.
export const discriminator = async (name) => (await sha256(fromText(name))).subarray(0, 8);

const REASONS = [
  'Granted', 'NotMatched', 'NothingDue', 'LateForWindow', 'Holdout', 'UserLimit', 'BudgetSpent', 'GroupTaken', 'Excluded',
  'VaultShort', 'Reversed',
];

function outcomes(reader) {
  return Array.from({ length: reader.u32() }, () => {
    const [rule, version, reason, clause, asset] = [reader.u16(), reader.u16(), reader.u8(), reader.u8(), reader.u8()];
    const [amount, before, after] = [reader.u64(), reader.u64(), reader.u64()];
    return { rule, version, reason: REASONS[reason] ?? String(reason), clause, asset, amount, before, after };
  });
}

function head(reader) {
  return {
    journalIndex: reader.u64(),
    at: reader.i64(),
    platform: toBase58(reader.bytes(32)),
    oracle: toBase58(reader.bytes(32)),
    order: toHex(reader.bytes(32)),
  };
}

const LAYOUTS = {
  PaymentRecorded: (reader) => ({
    ...head(reader),
    user: toHex(reader.bytes(32)),
    amount: reader.u64(),
    paidAt: reader.i64(),
    product: reader.u16(),
    streamer: reader.u64(),
    session: reader.u64(),
    tier: reader.u8(),
    segments: reader.u32(),
    number: reader.u64(),
    outcomes: outcomes(reader),
  }),
  RefundRecorded: (reader) => ({
    ...head(reader),
    of: toHex(reader.bytes(32)),
    user: toHex(reader.bytes(32)),
    amount: reader.u64(),
    paidAt: reader.i64(),
    refunded: reader.u64(),
    outcomes: outcomes(reader),
  }),
  Redeemed: (reader) => ({
    ...head(reader),
    user: toHex(reader.bytes(32)),
    asset: reader.u8(),
    amount: reader.u64(),
    paidAt: reader.i64(),
    before: reader.u64(),
    after: reader.u64(),
    outcomes: [],
  }),
};

/// An event about a record, from its canonical bytes; `null` of other events. Throws where the bytes are not all used.
export async function readEvent(bytes) {
  for (const [kind, layout] of Object.entries(LAYOUTS)) {
    if (!equal(bytes.subarray(0, 8), await discriminator(`event:${kind}`))) continue;
    const reader = new Reader(bytes.subarray(8));
    const event = { kind, ...layout(reader) };
    if (reader.left !== 0) throw new RangeError(`${reader.left} bytes follow the event`);
    return event;
  }
  return null;
}

/// The one encoding of the record that an event is about: what the oracle must have signed.
export function signedRecord(event) {
  const order = fromHex(event.order);
  const money = concat(u64(event.amount), i64(event.paidAt));
  if (event.kind === 'RefundRecorded') return concat(Uint8Array.of(2), order, fromHex(event.of), money);
  if (event.kind === 'Redeemed') {
    return concat(Uint8Array.of(3), order, fromHex(event.user), Uint8Array.of(event.asset), money);
  }
  const optional = [u64(event.streamer), u64(event.session), Uint8Array.of(event.tier), u32(event.segments)];
  const isThere = (bytes) => bytes.some((byte) => byte !== 0);
  const fields = optional.reduce((set, bytes, bit) => (isThere(bytes) ? set | (1 << bit) : set), 0);
  const first = Uint8Array.of(1, fields);
  return concat(first, order, fromHex(event.user), money, u16(event.product), ...optional.filter(isThere));
}

/// How long the record is that begins here.
function length(bytes) {
  const fields = [8, 8, 1, 4].reduce((sum, size, bit) => (bytes[1] & (1 << bit) ? sum + size : sum), 0);
  return [undefined, 84 + fields, 81, 82, 73][bytes[0]];
}

/// Reads a signed message: for which program and platform it is, and the records in it, as bytes. Throws where it is none.
export function readMessage(message) {
  const reader = new Reader(message);
  const domain = new TextDecoder().decode(reader.bytes(8));
  if (domain !== 'rebate/1') throw new RangeError('it is not a message of records');
  const [program, platform] = [toBase58(reader.bytes(32)), toBase58(reader.bytes(32))];
  const records = Array.from({ length: reader.u8() }, () => {
    const size = length(message.subarray(reader.at));
    if (size === undefined) throw new RangeError('it holds a record of another kind');
    return reader.bytes(size);
  });
  if (reader.left !== 0) throw new RangeError('it goes on after its last record');
  return { program, platform, records };
}

/// Key, signature and message of an Ed25519 instruction, in the only layout that the program takes; `null` of others.
export function readSigned(data) {
  if (data.length < 112) return null;
  const here = u16(0xffff);
  const expected = concat(
    Uint8Array.of(1, 0), u16(48), here, u16(16), here, u16(112), u16(data.length - 112), here,
  );
  if (!equal(data.subarray(0, 16), expected)) return null;
  return { key: data.subarray(16, 48), signature: data.subarray(48, 112), message: data.subarray(112) };
}
