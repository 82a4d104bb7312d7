// Records that the oracle gave up, for somebody to try again.

import { get, path, post } from '../api.js';
import { h, replace } from '../dom.js';
import { has } from '../features.js';
import { moment, short } from '../format.js';
import { signedIn, whose } from '../key.js';
import { absent, card, loading, table, trouble } from '../parts.js';
import { t } from '../words.js';

export async function show(place, { again, signal }) {
  const title = h('h1', {}, t('nav.dead_letters'));
  if (!(await has('/v1/operators/dead-letters'))) {
    replace(place, title, absent(t('nav.dead_letters')));
    return;
  }
  if (!(await signedIn(place, title, again))) return;
  const said = h('div', { 'aria-live': 'polite' });
  const rows = h('div', {}, loading());
  replace(place, title, await whose(again), h('p', {}, t('dead.text')), said, card(null, rows));
  let items = [];
  const more = async (cursor) => {
    const answer = await get(path('/v1/operators/dead-letters', { limit: 50, cursor }), { signal });
    items = [...items, ...answer.items];
    const button = answer.next_cursor && h('button', { type: 'button', class: 'plain', onclick: () => more(answer.next_cursor) }, t('older'));
    replace(rows, list(items, retry), button && h('div', { class: 'toolbar' }, button));
  };
  const retry = async ({ id }, button) => {
    button.disabled = true;
    try {
      const { order, state } = await post(`/v1/operators/dead-letters/${id}/retry`, {});
      replace(said, h('p', { class: 'verdict passed' }, t('dead.retried', { order, state })));
    } catch (error) {
      button.disabled = false;
      replace(said, trouble(error, t('nav.dead_letters')));
    }
  };
  await more();
}

function list(items, retry) {
  return table(t('nav.dead_letters'), [
    { label: t('order.title'), of: (item) => [item.order, h('br'), short(item.order_hash)] },
    { label: t('dead.kind'), of: ({ kind }) => kind },
    { label: t('dead.provider'), of: ({ provider }) => provider },
    { label: t('dead.reason'), of: ({ reason }) => reason ?? '' },
    { label: t('dead.attempts'), numeric: true, of: ({ attempts }) => String(attempts) },
    { label: t('dead.since'), of: (item) => moment(item.changed_at) },
    { label: '', of: (item) => {
      const button = h('button', { type: 'button', class: 'small', 'aria-label': `${t('dead.retry')} ${item.order}` }, t('dead.retry'));
      button.addEventListener('click', () => retry(item, button));
      return button;
    } },
  ], items, t('dead.none'));
}
