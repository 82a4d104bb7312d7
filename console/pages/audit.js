// What operators did.

import { get, path } from '../api.js';
import { h, replace } from '../dom.js';
import { has } from '../features.js';
import { moment, short } from '../format.js';
import { signedIn, whose } from '../key.js';
import { absent, card, loading, table } from '../parts.js';
import { t } from '../words.js';

const OUTCOMES = ['', 'begun', 'done', 'failed', 'refused'];

export async function show(place, { again, query, signal }) {
  const title = h('h1', {}, t('nav.audit'));
  if (!(await has('/v1/operators/audit'))) {
    replace(place, title, absent(t('nav.audit')));
    return;
  }
  if (!(await signedIn(place, title, again))) return;
  const field = (name, input) => h('label', { class: 'field' }, h('span', {}, t(`audit.${name}`)), input);
  const outcome = h('select', { name: 'outcome' }, OUTCOMES.map((name) => h('option', { value: name, selected: name === query.get('outcome') }, name || t('audit.any'))));
  const form = h('form', { class: 'row', 'aria-label': t('audit.filter') },
    field('action', h('input', { name: 'action', value: query.get('action') ?? '', maxlength: '100' })), field('outcome', outcome), h('button', {}, t('orders.find')));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    location.hash = `#${path('/audit', Object.fromEntries(new FormData(form)))}`;
  });
  const rows = h('div', {}, loading());
  replace(place, title, await whose(again), h('p', {}, t('audit.text')), form, card(null, rows));
  let items = [];
  const more = async (cursor) => {
    const filter = { action: query.get('action'), outcome: query.get('outcome') };
    const answer = await get(path('/v1/operators/audit', { limit: 50, cursor, ...filter }), { signal });
    items = [...items, ...answer.items];
    const button = answer.next_cursor && h('button', { type: 'button', class: 'plain', onclick: () => more(answer.next_cursor) }, t('older'));
    replace(rows, list(items), button && h('div', { class: 'toolbar' }, button));
  };
  await more();
}

function list(items) {
  const kind = { done: 'chip gain', failed: 'chip loss', refused: 'chip bad' };
  return table(t('nav.audit'), [
    { label: '#', numeric: true, of: ({ id }) => String(id) },
    { label: t('audit.at'), of: ({ at }) => moment(at) },
    { label: t('audit.operator'), of: (entry) => [entry.operator_name, entry.role && h('span', { class: 'quiet' }, ` ${entry.role}`)] },
    { label: t('audit.action'), of: ({ action }) => h('code', {}, action) },
    { label: t('audit.target'), of: ({ target }) => target },
    { label: t('audit.outcome'), of: ({ outcome }) => h('span', { class: kind[outcome] ?? 'chip' }, outcome) },
    { label: t('audit.detail'), of: ({ detail }) => detail ?? '' },
    { label: t('audit.hash'), of: ({ hash }) => short(hash) },
  ], items, t('none'));
}
