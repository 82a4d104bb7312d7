// What the pages say, in English and Chinese.

import { english } from './words/en.js';
import { chinese } from './words/zh.js';

const STORED = 'rebate.language';
const DICTIONARIES = { en: english, zh: chinese };

/// `en` or `zh`: what was chosen, else what the browser asks for.
export function language() {
  const chosen = localStorage.getItem(STORED);
  if (chosen in DICTIONARIES) return chosen;
  return navigator.languages.some((wanted) => wanted.toLowerCase().startsWith('zh'))
    && !navigator.language.toLowerCase().startsWith('en') ? 'zh' : 'en';
}

export function choose(language) {
  localStorage.setItem(STORED, language);
  document.documentElement.lang = htmlLanguage();
}

export const htmlLanguage = () => (language() === 'zh' ? 'zh-Hans' : 'en');

/// The sentence under a key, with values put in for `{name}`. A key that no dictionary has is shown as it is.
export function t(key, values = {}) {
  const text = DICTIONARIES[language()][key] ?? english[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/// Whether there is a sentence under a key.
export const knows = (key) => key in english;
