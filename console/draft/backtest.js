// A draft over what was really paid.

import { get, post } from '../api.js';
import { h, replace } from '../dom.js';
import { amount, count, offsetName } from '../format.js';
import { card, facts, raw, table, trouble } from '../parts.js';
import { t } from '../words.js';

/// How often the server is asked how far it is.
const EVERY = 500;

export function backtestCard(draft, signal) {
  const day = (name) => h('label', { class: 'field' }, h('span', {}, t(`analytics.${name}`)), h('input', { type: 'date', name }));
  const start = h('button', {}, t('backtest.start'));
  const cancel = h('button', { type: 'button', class: 'plain', hidden: true }, t('backtest.cancel'));
  const form = h('form', { class: 'row', 'aria-label': t('backtest.title') }, day('from'), day('to'), start, cancel);
  const said = h('div', { 'aria-live': 'polite' });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const midnight = (date) => (date ? `${date}T00:00:00${offsetName().replace('−', '-')}` : undefined);
    const { from, to } = Object.fromEntries(new FormData(form));
    start.disabled = true;
    try {
      const begun = await post('/v1/backtests', { ...draft(), from: midnight(from), to: midnight(to) });
      cancel.hidden = false;
      cancel.onclick = () => post(`/v1/backtests/${begun.id}`, '', { method: 'DELETE', type: 'text/plain' }).catch(() => {});
      await watch(begun, said, signal);
    } catch (error) {
      if (error.name !== 'AbortError') replace(said, trouble(error, t('backtest.title')));
    }
    cancel.hidden = true;
    start.disabled = false;
  });
  return card(t('backtest.title'), h('p', {}, t('backtest.text')), form, said);
}

async function watch(begun, said, signal) {
  const bar = h('progress', { max: '100', 'aria-label': t('backtest.title') });
  const line = h('p', { class: 'quiet' });
  replace(said, bar, line);
  for (let now = begun; ; now = await get(`/v1/backtests/${begun.id}`, { signal })) {
    bar.value = now.percent;
    line.textContent = t('backtest.progress', { percent: now.percent, events: count(now.events) });
    if (now.status === 'done') {
      replace(said, result(now.result));
      return;
    }
    if (now.status === 'failed' || now.status === 'cancelled') {
      replace(said, h('div', { class: 'notice', role: 'alert' }, now.error ?? t('backtest.cancelled')));
      return;
    }
    await new Promise((resolve) => { setTimeout(resolve, EVERY); });
  }
}

const granted = (side) => (side ? amount(side.granted) : '–');

const difference = (text) => h('strong', {}, BigInt(text) > 0n ? `+${amount(text)}` : amount(text));

function result(report) {
  const columns = [
    { label: t('backtest.draft'), numeric: true, of: ({ draft }) => granted(draft) },
    { label: t('backtest.really'), numeric: true, of: ({ really }) => granted(really) },
    { label: t('backtest.difference'), numeric: true, of: (row) => difference(row.difference) },
  ];
  const names = new Map(report.assets.map(({ asset, name }) => [asset, name]));
  const deciles = report.deciles.flatMap((decile) => decile.assets.map((asset) => ({ ...decile, ...asset })));
  return h('div', {},
    facts([
      [t('overview.payments'), count(report.payments)], [t('overview.paid'), amount(report.paid)], [t('backtest.users'), count(report.users)],
      [t('overview.refunds'), amount(report.refunded)],
    ]),
    report.differing > 0 && h('div', { class: 'notice', role: 'alert' }, t('backtest.differing', { count: count(report.differing) })),
    h('h3', {}, t('backtest.assets')), table(t('backtest.assets'), [{ label: t('asset'), of: ({ name }) => name }, ...columns], report.assets),
    h('h3', {}, t('backtest.rules')), table(t('backtest.rules'), [
      { label: t('rule'), of: ({ rule, name }) => `${rule} ${name}` }, { label: t('asset'), of: ({ asset }) => names.get(asset) ?? String(asset) }, ...columns,
    ], report.rules),
    h('h3', {}, t('backtest.deciles')), table(t('backtest.deciles'), [
      { label: t('backtest.decile'), numeric: true, of: ({ decile }) => String(decile) },
      { label: t('backtest.users'), numeric: true, of: ({ users }) => count(users) },
      { label: t('overview.paid'), numeric: true, of: ({ spend }) => amount(spend) },
      { label: t('asset'), of: ({ asset }) => names.get(asset) ?? String(asset) },
      { label: t('backtest.draft'), numeric: true, of: ({ draft }) => amount(draft) },
      { label: t('backtest.really'), numeric: true, of: ({ really }) => amount(really) },
    ], deciles),
    report.notes.length > 0 && h('ul', {}, report.notes.map((note) => h('li', {}, note))),
    raw(report));
}
