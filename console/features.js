// What this server has, by its own description.

import { get } from './api.js';

let described;

/// Whether the server has a path, as its description writes it: `/v1/live`.
export async function has(path) {
  described ??= get('/openapi.json').then(({ paths }) => paths).catch(() => ({}));
  return path in (await described);
}
