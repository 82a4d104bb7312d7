// Orders: searched and listed.

import { get } from '../api.js';
import { h, replace } from '../dom.js';
import { amount, moment, short } from '../format.js';
import { grant } from '../outcomes.js';
import { card, loading, table, trouble } from '../parts.js';
import { t } from '../words.js';

const HASH = /^[0-9a-f]{64}$/i;

export async function show(place, { path, query, signal }) {
  const user = query.get('user');
  const wanted = h('input', { type: 'search', name: 'order', required: true, autocomplete: 'off', spellcheck: 'false', maxlength: '256', value: user ?? '' });
  const said = h('div', { 'aria-live': 'polite' });
  const form = h('form', { class: 'row', role: 'search' },
    h('label', { class: 'field wide' }, h('span', {}, t('orders.search')), wanted), h('button', {}, t('orders.find')));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    replace(said);
    try {
      location.hash = await found(wanted.value.trim(), path, signal);
    } catch (error) {
      if (error.name !== 'AbortError') replace(said, trouble(error, t('nav.orders')));
    }
  });
  const rows = h('div', {}, loading());
  replace(place, h('h1', {}, t('orders.title')), form, said,
    user && h('p', {}, t('orders.of_user'), ' ', short(user), ' · ', h('a', { href: '#/orders' }, t('orders.all'))), card(null, rows));
  await list(rows, (cursor) => get(path('/v1/orders', { limit: 50, user, cursor }), { signal }));
}

/// Where what somebody looks for is: an order by its number or its hash, or the orders of a user.
async function found(text, path, signal) {
  const ask = (by) => get(path(`/v1/orders/${encodeURIComponent(text)}`, { by }), { signal });
  if (!HASH.test(text)) {
    await ask('number');
    return `#/orders/${encodeURIComponent(text)}?by=number`;
  }
  try {
    await ask('hash');
    return `#/orders/${text.toLowerCase()}`;
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  return `#/orders?user=${text.toLowerCase()}`;
}

async function list(place, page) {
  let items = [];
  const more = async (cursor) => {
    const answer = await page(cursor);
    items = [...items, ...answer.items];
    const button = answer.next_cursor && h('button', { type: 'button', class: 'plain', onclick: () => more(answer.next_cursor) }, t('older'));
    replace(place, orderTable(items), button && h('div', { class: 'toolbar' }, button));
  };
  await more();
}

function orderTable(items) {
  return table(t('orders.title'), [
    { label: t('order.recorded_at'), of: (order) => moment(order.recorded_at) },
    { label: t('order.title'), of: (order) => h('a', { href: `#/orders/${order.order}` }, short(order.order)) },
    { label: t('order.user'), of: (order) => h('a', { href: `#/orders?user=${order.user}` }, short(order.user)) },
    { label: t('order.amount'), numeric: true, of: (order) => amount(order.amount) },
    { label: t('order.refunded'), numeric: true, of: (order) => (order.refunded === '0' ? '' : amount(order.refunded)) },
    { label: t('order.result'), of: granted },
  ], items, t('orders.none'));
}

function granted({ outcomes }) {
  const grants = outcomes.filter(({ reason }) => reason === 'Granted');
  return h('div', { class: 'chips' }, grants.length === 0 ? h('span', { class: 'quiet' }, t('order.nothing')) : grants.map(grant));
}
