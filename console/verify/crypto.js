// SHA-256 and Ed25519: the browser's own where it has them, else by code that comes with this page.

const subtle = globalThis.crypto?.subtle;

const hashes = () => import('../vendor/noble-hashes/sha2.js');

export async function sha256(bytes) {
  if (subtle) return new Uint8Array(await subtle.digest('SHA-256', bytes));
  return (await hashes()).sha256(bytes);
}

/// Whether `key` signed `message`, and whose code says so: `WebCrypto` or `@noble/ed25519`.
export async function verifies(key, signature, message) {
  if (subtle) {
    let imported;
    try {
      imported = await subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
    } catch (error) {
      if (error.name !== 'NotSupportedError') return { valid: false, by: 'WebCrypto' };
    }
    if (imported) return { valid: await subtle.verify('Ed25519', imported, signature, message), by: 'WebCrypto' };
  }
  const [ed25519, { sha512 }] = await Promise.all([import('../vendor/noble-ed25519/index.js'), hashes()]);
  ed25519.hashes.sha512 = sha512;
  let valid = false;
  try {
    valid = ed25519.verify(signature, message, key, { zip215: false });
  } catch {
    // A signature or a key that is none at all.
  }
  return { valid, by: '@noble/ed25519' };
}
