// Bytes as they are written down, and read one field after the other.

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

export function fromBase58(text) {
  const bytes = [];
  for (const character of text) {
    let carry = ALPHABET.indexOf(character);
    if (carry < 0) throw new TypeError(`${JSON.stringify(character)} is no character of base58`);
    for (let at = 0; at < bytes.length; at += 1) {
      carry += bytes[at] * 58;
      bytes[at] = carry & 0xff;
      carry >>= 8;
    }
    for (; carry > 0; carry >>= 8) bytes.push(carry & 0xff);
  }
  const zeros = text.length - text.replace(/^1+/, '').length;
  return Uint8Array.from([...new Array(zeros).fill(0), ...bytes.reverse()]);
}

export function toBase58(bytes) {
  const digits = [];
  for (const byte of bytes) {
    let carry = byte;
    for (let at = 0; at < digits.length; at += 1) {
      carry += digits[at] << 8;
      digits[at] = carry % 58;
      carry = (carry / 58) | 0;
    }
    for (; carry > 0; carry = (carry / 58) | 0) digits.push(carry % 58);
  }
  let zeros = 0;
  while (bytes[zeros] === 0) zeros += 1;
  return '1'.repeat(zeros) + digits.reverse().map((digit) => ALPHABET[digit]).join('');
}

export const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

export const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

export const fromText = (text) => new TextEncoder().encode(text);

export const concat = (...parts) => {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
};

export const equal = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

const written = (size, write) => {
  const bytes = new Uint8Array(size);
  write(new DataView(bytes.buffer));
  return bytes;
};

export const u16 = (number) => written(2, (view) => view.setUint16(0, number, true));
export const u32 = (number) => written(4, (view) => view.setUint32(0, number, true));
export const u64 = (number) => written(8, (view) => view.setBigUint64(0, number, true));
export const i64 = (number) => written(8, (view) => view.setBigInt64(0, number, true));

/// Reads little-endian fields from the front. Throws a RangeError where the bytes end too early.
export class Reader {
  constructor(bytes) {
    this.all = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.at = 0;
  }

  get left() {
    return this.all.length - this.at;
  }

  bytes(length) {
    if (length > this.left) throw new RangeError(`${length} bytes are wanted, ${this.left} are left`);
    this.at += length;
    return this.all.subarray(this.at - length, this.at);
  }

  next(length, read) {
    const value = read(this.at);
    this.at += length;
    return value;
  }

  u8() {
    return this.next(1, (at) => this.view.getUint8(at));
  }

  u16() {
    return this.next(2, (at) => this.view.getUint16(at, true));
  }

  u32() {
    return this.next(4, (at) => this.view.getUint32(at, true));
  }

  u64() {
    return this.next(8, (at) => this.view.getBigUint64(at, true));
  }

  i64() {
    return this.next(8, (at) => this.view.getBigInt64(at, true));
  }

  /// Solana's compact length: seven bits a byte, at most three bytes.
  short() {
    let value = 0;
    for (let shift = 0; shift <= 14; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError('a length goes on after its third byte');
  }
}
