// What several pages are made of.

import { ApiError } from './api.js';
import { h } from './dom.js';
import { t } from './words.js';

/// A table that scrolls sideways where it is too wide. `columns`: { label, of(row), numeric }.
export function table(caption, columns, rows, empty = t('none')) {
  if (rows.length === 0) return h('p', { class: 'quiet' }, empty);
  const cell = (row) => ({ of, numeric }) => h('td', { class: numeric ? 'number' : null }, of(row));
  return h('div', { class: 'scroll', role: 'region', 'aria-label': caption, tabindex: '0' },
    h('table', {},
      h('caption', { class: 'hidden' }, caption),
      h('thead', {}, h('tr', {}, columns.map(({ label, numeric }) => h('th', { scope: 'col', class: numeric ? 'number' : null }, label)))),
      h('tbody', {}, rows.map((row) => h('tr', {}, columns.map(cell(row)))))));
}

/// Names and values.
export function facts(pairs) {
  return h('dl', { class: 'facts' }, pairs.filter(Boolean).map(([name, ...value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

export const card = (title, ...children) => h('section', { class: 'card' }, title && h('h2', {}, title), ...children);

export const tile = (name, value, detail, kind) => h('div', { class: `tile ${kind ?? ''}` },
  h('div', { class: 'tile-name' }, name), h('div', { class: 'tile-value' }, value), detail && h('div', { class: 'quiet' }, detail));

/// What went wrong, and what to do about it. `what` names what the page is about.
export function trouble(error, what, again) {
  if (!(error instanceof ApiError)) throw error;
  let [title, detail] = [t('error'), error.message];
  if (error.isAbsent) return absent(what);
  if (error.status === 404) title = t('not_found');
  else if (error.status === 0) title = t('error.offline');
  return h('div', { class: 'notice', role: 'alert' }, h('strong', {}, title), h('p', {}, detail),
    again && h('button', { type: 'button', onclick: again }, t('retry')));
}

/// That this server does not have something.
export const absent = (what) => h('div', { class: 'notice' }, h('strong', {}, t('absent', { what })), h('p', {}, t('absent.detail')));

export const loading = () => h('p', { class: 'quiet' }, t('loading'));

/// A button that copies a text.
export function copyButton(text) {
  const button = h('button', { type: 'button', class: 'small' }, t('copy'));
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(text());
    button.textContent = t('copied');
  });
  return button;
}

/// The answer of the API behind what is shown.
export const raw = (data) => h('details', {}, h('summary', {}, t('details')), h('pre', { tabindex: '0' }, JSON.stringify(data, null, 2)));
