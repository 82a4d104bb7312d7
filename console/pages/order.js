// One order, as an operator looks at it.

import { get, path as plain } from '../api.js';
import { h, replace } from '../dom.js';
import { loading, raw } from '../parts.js';
import { orderCards, orderTitle } from '../order.js';
import { t } from '../words.js';

export async function show(place, { argument, path, platform, query, signal }) {
  const by = query.get('by') ?? 'hash';
  replace(place, h('h1', {}, t('order.title')), loading());
  const base = `/orders/${encodeURIComponent(argument)}`;
  const order = await get(path(`/v1${base}`, { by }), { signal });
  const page = plain(base, { by, platform });
  replace(place,
    h('div', { class: 'page-head' }, h('h1', {}, orderTitle(argument, by)), h('a', { class: 'button plain', href: page }, t('order.user_page'))),
    orderCards(order, (user) => `#/orders?user=${user}`), raw(order));
}
