// The console's words: nothing is said in one language only, and nothing is said that no dictionary has.

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { english } from '../../console/words/en.js';
import { chinese } from '../../console/words/zh.js';

const folder = new URL('../../console/', import.meta.url);

test('both dictionaries have the same sentences with the same values in them', () => {
  assert.deepEqual(Object.keys(chinese).sort(), Object.keys(english).sort());
  const values = (text) => (text.match(/\{\w+\}/g) ?? []).sort();
  for (const key of Object.keys(english)) assert.deepEqual(values(chinese[key]), values(english[key]), key);
});

test('every sentence that a page names is in the dictionaries', async () => {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.js') && !name.startsWith('vendor'));
  assert.ok(names.length > 20, names.join(' '));
  for (const name of names) {
    const text = await readFile(new URL(name, folder), 'utf8');
    for (const [, key] of text.matchAll(/\bt\('([^']+)'/g)) assert.ok(key in english, `${name}: ${key}`);
    // Data never becomes markup.
    if (!name.startsWith('words')) assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/, name);
  }
});
