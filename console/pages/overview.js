// The evening as it happens.

import { get } from '../api.js';
import { timeChart } from '../chart.js';
import { h, replace, svg } from '../dom.js';
import { amount, clock, count, short } from '../format.js';
import { HELD_BACK, grant, reasonName } from '../outcomes.js';
import { card, table, tile, trouble } from '../parts.js';
import { t } from '../words.js';

/// How many payments the page is about: one answer of the API.
const LATEST = 200;

/// How many of them are listed.
const LISTED = 12;

export async function show(place, { path, platform: chosen, follow, signal, offset }) {
  const [tiles, feed, rules, assets, chartPlace, asOf] = [1, 2, 3, 4, 5, 6].map(() => h('div', {}));
  const list = h('ol', { class: 'feed', 'aria-live': 'polite', 'aria-relevant': 'additions', 'aria-label': t('overview.feed') });
  const connection = h('p', { class: 'live', role: 'status' }, t('loading'));
  const problem = h('div', {});
  replace(feed, list);
  replace(place,
    h('div', { class: 'page-head' }, h('h1', {}, t('overview.title')), connection),
    problem, tiles, card(t('overview.chart'), chartPlace),
    h('div', { class: 'columns' }, card(t('overview.feed'), feed),
      h('div', {}, card(t('overview.rules'), rules), card(t('overview.assets'), assets))),
    asOf);

  let chart;
  let seen = null;
  signal.addEventListener('abort', () => chart?.destroy());

  const changed = async () => {
    const { items: platforms } = await get(path('/v1/platforms'), { signal });
    if (platforms.length === 0) {
      replace(list, h('li', { class: 'quiet' }, t('overview.no_platform')));
      return false;
    }
    const [orders, book, integrity] = await Promise.all([
      get(path('/v1/orders', { limit: LATEST }), { signal }),
      get(path('/v1/rules', { limit: 200 }), { signal }),
      get(path('/v1/integrity'), { signal }),
    ]);
    const platform = platforms.find((one) => one.platform === chosen) ?? platforms[0];
    showTiles(tiles, orders, integrity);
    seen = showFeed(list, orders.items, seen);
    showRules(rules, book.items);
    replace(assets, assetTable(platform.assets));
    chart = showChart(chartPlace, chart, orders.items, offset);
    const finality = t(`finality.${orders.finality}`);
    replace(asOf, h('p', { class: 'quiet' }, t('as_of', { slot: orders.as_of_slot, finality })));
    return true;
  };
  const state = (way, error) => {
    connection.className = way === 'lost' ? 'live lost' : 'live';
    const text = t(`live.${way}`);
    if (connection.textContent !== text) connection.textContent = text;
    replace(problem, error?.status === 503 || !error ? null : trouble(error, t('nav.overview')));
  };
  follow({ changed, state });
}

const sum = (items, of) => items.reduce((total, item) => total + of(item), 0n);

function showTiles(place, { items, next_cursor: more }, integrity) {
  const outcomes = items.flatMap((item) => item.outcomes);
  const granted = outcomes.filter(({ reason }) => reason === 'Granted').length;
  const limited = outcomes.filter(({ reason }) => HELD_BACK.has(reason)).length;
  const latest = more ? t('overview.latest', { count: items.length }) : null;
  const state = { agrees: 'good', differs: 'bad' }[integrity.status];
  replace(place, h('div', { class: 'tiles' },
    tile(t('overview.payments'), more ? `${count(items.length)}+` : count(items.length), latest),
    tile(t('overview.paid'), amount(sum(items, (item) => BigInt(item.amount))), latest ?? t('smallest_unit')),
    tile(t('overview.granted'), count(granted), latest),
    tile(t('overview.limited'), count(limited), t('overview.limited.detail')),
    tile(t('overview.refunds'), amount(sum(items, (item) => BigInt(item.refunded))), latest ?? t('smallest_unit')),
    tile(t('overview.integrity'), t(`integrity.${integrity.status}`),
      `${count(integrity.stored_count)} / ${integrity.chain_count === null ? '?' : count(integrity.chain_count)}`, state)));
}

/// Only what is new is put in, so that whoever listens hears only that.
function showFeed(list, items, seen) {
  if (items.length === 0) {
    replace(list, h('li', { class: 'quiet' }, t('overview.empty')));
    return null;
  }
  if (seen === null) replace(list);
  const fresh = items.slice(0, LISTED).filter((item) => seen === null || item.journal_index > seen);
  for (const item of fresh.reverse()) list.prepend(entry(item, seen !== null));
  while (list.children.length > LISTED) list.lastElementChild.remove();
  return items[0].journal_index;
}

function entry(item, isFresh) {
  const granted = item.outcomes.filter(({ reason }) => reason === 'Granted');
  const held = item.outcomes.filter(({ reason }) => HELD_BACK.has(reason));
  return h('li', { class: isFresh ? 'fresh' : null },
    h('div', { class: 'line' }, clock(item.recorded_at), h('a', { href: `#/orders/${item.order}` }, short(item.order)),
      h('span', { class: 'quiet' }, t('order.user'), ' ', short(item.user)), h('span', { class: 'money' }, amount(item.amount))),
    h('div', { class: 'chips' },
      granted.length === 0 && h('span', { class: 'chip' }, t('order.nothing')),
      granted.map((outcome) => [grant(outcome), h('span', { class: 'quiet' }, outcome.rule_name)]),
      held.map((outcome) => h('span', { class: 'chip' }, `${outcome.rule_name}: ${reasonName(outcome.reason)}`))));
}

function showRules(place, versions) {
  const current = versions.filter(({ dropped_at: dropped }) => dropped === null);
  const most = current.reduce((max, { granted }) => (BigInt(granted) > max ? BigInt(granted) : max), 1n);
  replace(place, current.length === 0 ? h('p', { class: 'quiet' }, t('none')) : current.map((version) => {
    const of = BigInt(version.limits.total_amount) || most;
    const part = (text) => String(Number((BigInt(text) * 10_000n) / of) / 100);
    return h('div', { class: 'bar-row' },
      h('div', { class: 'line' }, h('a', { href: `#/rules/${version.rule}` }, version.name),
        h('span', {}, `${amount(version.granted)} ${version.asset_name}`,
          version.limits.total_amount !== '0' && h('span', { class: 'quiet' }, ` / ${amount(version.limits.total_amount)}`))),
      svg('svg', { class: 'bar', viewBox: '0 0 100 1', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
        svg('rect', { width: part(version.granted), height: '1' }),
        svg('rect', { class: 'back', width: part(version.reversed), height: '1' })));
  }));
}

function assetTable(assets) {
  return table(t('overview.assets'), [
    { label: t('asset'), of: ({ name, kind }) => [name, h('span', { class: 'quiet' }, ` ${t(`asset.kind.${kind}`)}`)] },
    { label: t('asset.liability'), numeric: true, of: ({ liability }) => amount(liability) },
    { label: t('asset.funds'), numeric: true, of: ({ vault }) => (vault ? amount(vault.funds) : '') },
  ], assets);
}

/// Payments and grants in as many steps of time as fit.
function showChart(place, before, items, offset) {
  if (items.length === 0) return before;
  const at = (item) => Math.floor(Date.parse(item.recorded_at) / 1000);
  const [from, to] = [at(items.at(-1)), at(items[0])];
  const step = [1, 5, 15, 60, 300, 900, 3600, 21_600, 86_400].find((step) => (to - from) / step <= 80) ?? 604_800;
  const begin = Math.floor(from / step) * step;
  const times = Array.from({ length: Math.floor((to - begin) / step) + 1 }, (_, n) => begin + n * step);
  const [payments, grants] = [times.map(() => 0), times.map(() => 0)];
  for (const item of items) {
    const slot = Math.floor((at(item) - begin) / step);
    payments[slot] += 1;
    grants[slot] += item.outcomes.filter(({ reason }) => reason === 'Granted').length;
  }
  const all = (values) => values.reduce((total, value) => total + value, 0);
  const text = t('overview.chart.text', {
    payments: all(payments), grants: all(grants), from: clock(items.at(-1).recorded_at).textContent, to: clock(items[0].recorded_at).textContent,
  });
  if (before) {
    before.set(times, [payments, grants], text);
    return before;
  }
  const chart = timeChart({
    text, times, offset, height: 180,
    series: [{ label: t('overview.payments'), values: payments, bars: true }, { label: t('overview.granted'), values: grants }],
  });
  replace(place, chart.element);
  return chart;
}
