// One rule: its versions, what they granted, and two of them compared.

import { get } from '../api.js';
import { definitionLines, since, standing, standingChip } from '../definition.js';
import { h, outside, replace } from '../dom.js';
import { amount, count, moment, whole } from '../format.js';
import { card, facts, loading, raw, table } from '../parts.js';
import { t } from '../words.js';
import { countDown, timeLeft } from './rules.js';

export async function show(place, { argument, path, signal }) {
  replace(place, h('h1', {}, t('rule')), loading());
  const rule = await get(path(`/v1/rules/${argument}`), { signal });
  const versions = [...rule.versions].sort((one, other) => other.version - one.version);
  const latest = versions.find((version) => standing(version) === 'in_force') ?? versions[0];
  replace(place,
    h('div', { class: 'page-head' }, h('h1', {}, latest.name), h('a', { class: 'button', href: `#/rules/draft?rule=${rule.rule}` }, t('draft.next'))),
    card(t('rule.current', { version: latest.version }), facts([
      [t('rule.standing'), standingChip(latest), timeLeft(latest)],
      ...definitionLines(latest),
      [t('rule.since'), since(latest.effective_at)],
      [t('rule.published'), moment(latest.published_at)],
      [t('order.transaction'), whole(latest.transaction.signature), h('br'),
        latest.transaction.explorer && outside(latest.transaction.explorer, t('order.explorer'))],
    ])),
    card(t('rule.totals'), totals(rule)),
    card(t('rule.versions'), versionTable(versions)),
    versions.length > 1 && comparison(versions),
    raw(rule));
  countDown(place, signal);
}

function totals({ totals, budget }) {
  return [
    table(t('rule.totals'), [
      { label: t('asset'), of: (total) => total.asset_name },
      { label: t('rule.grants'), numeric: true, of: (total) => count(total.grants) },
      { label: t('rule.granted'), numeric: true, of: (total) => amount(total.granted) },
      { label: t('rule.reversed'), numeric: true, of: (total) => amount(total.reversed) },
    ], totals),
    h('p', { class: 'quiet' }, t('rule.budget', { spent: amount(budget.spent), grants: count(budget.grants) })),
  ];
}

function versionTable(versions) {
  return table(t('rule.versions'), [
    { label: t('rule.version'), of: ({ version }) => String(version) },
    { label: t('rule.standing'), of: (version) => [standingChip(version), timeLeft(version)] },
    { label: t('rule.since'), of: (version) => since(version.effective_at) },
    { label: t('rule.until'), of: (version) => (version.superseded_at ? moment(version.superseded_at) : '') },
    { label: t('rule.grants'), numeric: true, of: (version) => count(version.grants) },
    { label: t('rule.granted'), numeric: true, of: (version) => `${amount(version.granted)} ${version.asset_name}` },
    { label: t('rule.published'), of: (version) => moment(version.published_at) },
  ], versions);
}

/// Two versions side by side, with what differs marked.
function comparison(versions) {
  const choice = (label, chosen) => {
    const options = versions.map(({ version }) => h('option', { value: version, selected: version === chosen }, String(version)));
    const select = h('select', {}, options);
    return [select, h('label', { class: 'field' }, h('span', {}, label), select)];
  };
  const [older, olderField] = choice(t('rule.compare.from'), versions[1].version);
  const [newer, newerField] = choice(t('rule.compare.to'), versions[0].version);
  const result = h('div', { 'aria-live': 'polite' });
  const compare = () => {
    const of = (select) => definitionLines(versions.find(({ version }) => String(version) === select.value));
    const pairs = of(older).map(([name, text], at) => [name, text, of(newer)[at][1]]);
    const differences = pairs.filter(([, one, other]) => one !== other).length;
    replace(result, h('p', {}, t('rule.differences', { count: differences })), h('div', { class: 'scroll', role: 'region', tabindex: '0', 'aria-label': t('rule.compare') },
      h('table', {}, h('caption', { class: 'hidden' }, t('rule.compare')),
        h('thead', {}, h('tr', {}, [t('rule.part'), older.value, newer.value].map((text) => h('th', { scope: 'col' }, text)))),
        h('tbody', {}, pairs.map(([name, one, other]) => h('tr', { class: one === other ? null : 'changed' },
          h('td', {}, one === other ? name : h('strong', {}, `≠ ${name}`)), h('td', {}, one), h('td', {}, other)))))));
  };
  older.addEventListener('change', compare);
  newer.addEventListener('change', compare);
  compare();
  return card(t('rule.compare'), h('form', { class: 'row' }, olderField, newerField), result);
}
