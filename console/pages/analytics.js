// What was paid and granted over time: a measure, its definition, a chart, a table and the same as CSV.

import { get } from '../api.js';
import { timeChart } from '../chart.js';
import { h, replace } from '../dom.js';
import { has } from '../features.js';
import { offsetName } from '../format.js';
import { absent, card, loading, table, trouble } from '../parts.js';
import { knows, language, t } from '../words.js';

const BY = ['none', 'rule', 'group', 'effect', 'product', 'streamer', 'tier', 'segment', 'newness'];
const EVERY = ['hour', 'day', 'week', 'month', 'year'];

/// A chart with more lines than this says nothing.
const LINES = 8;

/// Rows of the table at most; the CSV has all.
const ROWS = 500;

export async function show(place, { path, query, signal, offset }) {
  const title = h('h1', {}, t('nav.analytics'));
  if (!(await has('/v1/analytics/{measure}'))) {
    replace(place, title, absent(t('nav.analytics')));
    return;
  }
  replace(place, title, loading());
  const { measures } = await get('/v1/analytics', { signal });
  const chosen = query.get('measure') ?? measures[0].measure;
  const name = (prefix, key) => (knows(`${prefix}.${key}`) ? t(`${prefix}.${key}`) : key);
  const choice = (field, prefix, keys, value) => {
    const options = keys.map((key) => h('option', { value: key, selected: key === value }, name(prefix, key)));
    return h('label', { class: 'field' }, h('span', {}, t(`analytics.${field}`)), h('select', { name: field }, options));
  };
  const day = (field) => h('label', { class: 'field' }, h('span', {}, t(`analytics.${field}`)),
    h('input', { type: 'date', name: field, value: query.get(field) ?? '' }));
  const form = h('form', { class: 'row', 'aria-label': t('analytics.choose') },
    choice('measure', 'measure', measures.map(({ measure }) => measure), chosen),
    choice('by', 'by', BY, query.get('by') ?? 'none'), choice('every', 'every', EVERY, query.get('every') ?? 'day'),
    day('from'), day('to'), h('button', {}, t('analytics.show')));
  const answer = h('div', { 'aria-live': 'polite' });
  let chart;
  signal.addEventListener('abort', () => chart?.destroy());
  const ask = async () => {
    const { measure, ...asked } = Object.fromEntries(new FormData(form));
    history.replaceState(null, '', `#/analytics?${new URLSearchParams({ measure, ...asked })}`);
    const midnight = (date) => (date ? `${date}T00:00:00${offsetName().replace('−', '-')}` : '');
    const by = asked.by === 'none' ? '' : asked.by;
    // Uplift is of all time since users were exposed.
    const every = measure === 'uplift' ? '' : asked.every;
    const range = { ...asked, by, every, from: midnight(asked.from), to: midnight(asked.to) };
    chart?.destroy();
    chart = undefined;
    replace(answer, loading());
    try {
      const figures = await get(path(`/v1/analytics/${measure}`, range), { signal });
      chart = showFigures(answer, figures, name('measure', measure), path(`/v1/analytics/${measure}`, { ...range, format: 'csv' }), offset);
    } catch (error) {
      if (error.name !== 'AbortError') replace(answer, trouble(error, t('nav.analytics')));
    }
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    ask();
  });
  for (const select of form.querySelectorAll('select')) select.addEventListener('change', ask);
  replace(place, title, form, answer);
  await ask();
}

/// A figure as people read it in its unit.
function formatted(text, unit) {
  if (text === null || text === undefined) return '–';
  const options = unit === 'share' ? { style: 'percent', maximumFractionDigits: 2 } : { maximumFractionDigits: 4 };
  return new Intl.NumberFormat(language(), options).format(Number(text));
}

/// Whole numbers can be larger than a double holds.
const exact = (text) => (text === null ? '–' : /^-?\d+$/.test(text) ? BigInt(text).toLocaleString(language()) : formatted(text));

function showFigures(place, figures, title, csv, offset) {
  const { definition, rows, unit } = figures;
  const { text, numerator, denominator } = definition;
  const chart = chartOf(rows, title, offset);
  const details = [...new Set(rows.flatMap((row) => Object.keys(row.details ?? {})))];
  const columns = [
    rows.some(({ from }) => from) && { label: t('analytics.from'), of: ({ from }) => (from ?? '').slice(0, 16).replace('T', ' ') },
    rows.some(({ key }) => key) && { label: t(`by.${figures.by}`), of: ({ key, label }) => label ?? key ?? '' },
    rows.some((row) => row.asset) && { label: t('asset'), of: (row) => row.asset_name ?? '' },
    { label: t('analytics.numerator'), numeric: true, of: (row) => exact(row.numerator) },
    { label: t('analytics.denominator'), numeric: true, of: (row) => exact(row.denominator) },
    { label: t('analytics.value'), numeric: true, of: (row) => h('strong', {}, formatted(row.value, unit)) },
    ...details.map((detail) => ({ label: detail.replaceAll('_', ' '), numeric: true, of: (row) => exact(row.details[detail] ?? null) })),
  ].filter(Boolean);
  replace(place,
    card(title, h('p', {}, text), chart?.element, h('dl', { class: 'facts' },
      h('dt', {}, t('analytics.numerator')), h('dd', {}, numerator), h('dt', {}, t('analytics.denominator')), h('dd', {}, denominator))),
    card(null, h('div', { class: 'toolbar' }, h('a', { class: 'button plain', href: csv, download: `${figures.measure}.csv` }, t('analytics.csv')),
      rows.length > ROWS && h('span', { class: 'quiet' }, t('analytics.cut', { shown: ROWS, all: rows.length }))),
    table(title, columns, rows.slice(0, ROWS), t('analytics.nothing'))));
  return chart;
}

/// A line for each key and asset, the largest of them.
function chartOf(rows, title, offset) {
  const at = ({ from }) => Math.floor(Date.parse(from) / 1000);
  const dated = rows.filter(({ from, value }) => from && value !== null);
  const times = [...new Set(dated.map(at))].sort((one, other) => one - other);
  if (times.length < 2) return undefined;
  const lines = new Map();
  for (const row of dated) {
    const label = [row.label ?? row.key, row.asset_name].filter(Boolean).join(' · ') || title;
    const line = lines.get(label) ?? { label, values: times.map(() => null), sum: 0 };
    line.values[times.indexOf(at(row))] = Number(row.value);
    line.sum += Math.abs(Number(row.value));
    lines.set(label, line);
  }
  const series = [...lines.values()].sort((one, other) => other.sum - one.sum).slice(0, LINES);
  const text = t('analytics.chart', { title, lines: series.map(({ label }) => label).join(', '), count: times.length });
  return timeChart({ text, times, series, offset, height: 260 });
}
