// The journal's tree: RFC 6962, section 2.1, as any certificate transparency log has it.

import { concat, equal } from './bytes.js';
import { sha256 } from './crypto.js';

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export const leafHash = (bytes) => sha256(concat(LEAF, bytes));

export const nodeHash = (left, right) => sha256(concat(NODE, left, right));

/// The tree head over `count` leaves, from the roots of the complete subtrees: `peaks[h]` is over 2^h leaves, and there where
/// bit h of `count` is set. Counts are BigInts.
export async function headOf(count, peaks) {
  let head = null;
  for (let height = 0; count >> BigInt(height) > 0n; height += 1) {
    if (!((count >> BigInt(height)) & 1n)) continue;
    head = head === null ? peaks[height] : await nodeHash(peaks[height], head);
  }
  return head ?? sha256(new Uint8Array());
}

/// The tree head that an inclusion path leads to from the leaf at `index` of `size`, by RFC 9162 2.1.3.2; `null` where the
/// path is not as long as it must be.
export async function headByInclusion(index, size, leaf, path) {
  if (index >= size) return null;
  let position = index;
  let last = size - 1n;
  let head = leaf;
  for (const beside of path) {
    if (last === 0n) return null;
    if (position & 1n || position === last) {
      head = await nodeHash(beside, head);
      while (!(position & 1n) && position !== 0n) {
        position >>= 1n;
        last >>= 1n;
      }
    } else {
      head = await nodeHash(head, beside);
    }
    position >>= 1n;
    last >>= 1n;
  }
  return last === 0n ? head : null;
}

/// Whether the tree of `to` leaves begins with the one of `from` leaves, by RFC 9162 2.1.4.2.
export async function isConsistent(from, oldHead, to, newHead, proof) {
  if (from === 0n || from > to) return false;
  if (from === to) return proof.length === 0 && equal(oldHead, newHead);
  // Where the old tree is complete, it is a node of the new one, and its head begins the proof.
  const whole = (from & (from - 1n)) === 0n;
  const nodes = whole ? [oldHead, ...proof] : proof;
  if (nodes.length === 0) return false;
  let position = from - 1n;
  let last = to - 1n;
  while (position & 1n) {
    position >>= 1n;
    last >>= 1n;
  }
  let [older, newer] = [nodes[0], nodes[0]];
  for (const node of nodes.slice(1)) {
    if (last === 0n) return false;
    if (position & 1n || position === last) {
      older = await nodeHash(node, older);
      newer = await nodeHash(node, newer);
      while (!(position & 1n) && position !== 0n) {
        position >>= 1n;
        last >>= 1n;
      }
    } else {
      newer = await nodeHash(newer, node);
    }
    position >>= 1n;
    last >>= 1n;
  }
  return last === 0n && equal(older, oldHead) && equal(newer, newHead);
}
