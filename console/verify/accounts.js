// The program's accounts, as far as an order's verification reads them.

import { Reader, equal, fromBase64, toBase58 } from './bytes.js';
import { discriminator } from './record.js';

/// The data behind its discriminator of an account that is the program's and of this kind; throws what else it is.
export async function accountOf(account, program, kind) {
  if (!account) throw new RangeError('the node has no such account');
  if (account.owner !== program) throw new RangeError(`the account belongs to ${account.owner}, not to the program`);
  const data = fromBase64(account.data[0]);
  if (!equal(data.subarray(0, 8), await discriminator(`account:${kind}`))) {
    throw new RangeError(`the account is no ${kind}`);
  }
  return data.subarray(8);
}

/// Whose journal it is, how many events it has, and the roots of its complete subtrees.
export function readJournal(data) {
  const reader = new Reader(data);
  const platform = toBase58(reader.bytes(32));
  const count = reader.u64();
  const peaks = [];
  for (let height = 0; count >> BigInt(height) > 0n; height += 1) peaks.push(reader.bytes(32));
  return { platform, count, peaks };
}

/// The oracle keys of a Platform account, with when they may sign, in Unix seconds; 0 for open.
export function readOracles(data) {
  const reader = new Reader(data);
  // id, admin, pauser, next admin and when, two settings, four rows of shards, two days, version, bump, paused.
  reader.bytes(8 + 3 * 32 + 8 + 2 * 16 + 4 * 8 + 2 * 4 + 3);
  const count = reader.u8();
  reader.bytes(4);
  return Array.from({ length: count }, () => ({
    key: toBase58(reader.bytes(32)),
    from: reader.i64(),
    until: reader.i64(),
  }));
}
