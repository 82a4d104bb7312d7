// A transaction as it is on the wire: legacy, version 0 and version 1.

import { Reader } from './bytes.js';

const SIGNATURE = 64;
const KEY = 32;

/// Signatures, the message's bytes, which they sign, the static account keys, and the instructions with their data.
export function readTransaction(bytes) {
  return bytes[0] === 0x81 ? versionOne(bytes) : signedFirst(bytes);
}

/// Legacy and version 0: the signatures stand before the message.
function signedFirst(bytes) {
  const reader = new Reader(bytes);
  const signatures = many(reader.short(), () => reader.bytes(SIGNATURE));
  const from = reader.at;
  let required = reader.u8();
  let version = 'legacy';
  if (required & 0x80) {
    version = required & 0x7f;
    if (version !== 0) throw new RangeError(`this page cannot read transactions of version ${version}`);
    required = reader.u8();
  }
  reader.bytes(2);
  const keys = many(reader.short(), () => reader.bytes(KEY));
  reader.bytes(KEY);
  const instructions = many(reader.short(), () => {
    const program = reader.u8();
    const accounts = reader.bytes(reader.short());
    return { program, accounts, data: reader.bytes(reader.short()) };
  });
  if (version === 0) {
    many(reader.short(), () => {
      reader.bytes(KEY);
      reader.bytes(reader.short());
      reader.bytes(reader.short());
    });
  }
  end(reader);
  return { version, signatures, required, message: bytes.subarray(from), keys, instructions };
}

/// Version 1: the signatures stand behind the message.
function versionOne(bytes) {
  const reader = new Reader(bytes);
  reader.u8();
  const required = reader.u8();
  reader.bytes(2);
  const settings = reader.u32();
  reader.bytes(KEY);
  const [instructionCount, keyCount] = [reader.u8(), reader.u8()];
  const keys = many(keyCount, () => reader.bytes(KEY));
  // Each setting that is there is four bytes for each of its bits.
  for (let bits = settings; bits !== 0; bits >>>= 1) if (bits & 1) reader.bytes(4);
  const heads = many(instructionCount, () => ({ program: reader.u8(), accounts: reader.u8(), data: reader.u16() }));
  const instructions = heads.map((head) => {
    const accounts = reader.bytes(head.accounts);
    return { program: head.program, accounts, data: reader.bytes(head.data) };
  });
  const message = bytes.subarray(0, reader.at);
  const signatures = many(required, () => reader.bytes(SIGNATURE));
  end(reader);
  return { version: 1, signatures, required, message, keys, instructions };
}

function many(count, read) {
  return Array.from({ length: count }, read);
}

function end(reader) {
  if (reader.left !== 0) throw new RangeError(`${reader.left} bytes follow the transaction`);
}
