// Whether the database is what the chain is, and whether the journal only grew.

import { get } from '../api.js';
import { h, outside, replace } from '../dom.js';
import { count, moment, whole } from '../format.js';
import { card, facts, loading, raw, table } from '../parts.js';
import { fromHex } from '../verify/bytes.js';
import { isConsistent } from '../verify/merkle.js';
import { t } from '../words.js';

/// How often the report is asked for again.
const EVERY = 5_000;

export async function show(place, { path, signal }) {
  const report = h('div', { 'aria-live': 'polite' }, loading());
  const grew = h('div', {});
  const behind = h('div', {});
  replace(place, h('h1', {}, t('integrity.title')), report, grew, behind);
  let before;
  const refresh = async () => {
    const now = await get(path('/v1/integrity'), { signal });
    // Whoever listens hears only what changed.
    const text = JSON.stringify({ ...now, as_of_slot: 0, chain_slot: 0, final_slot: 0, accounts: 0 });
    if (text !== before) replace(report, reportCard(now));
    before = text;
    replace(behind, raw(now));
    return now;
  };
  const first = await refresh();
  replace(grew, growth(first, path));
  const timer = setInterval(() => refresh().catch(() => {}), EVERY);
  signal.addEventListener('abort', () => clearInterval(timer));
}

function reportCard(report) {
  const kind = { agrees: 'chip gain', differs: 'chip bad' }[report.status] ?? 'chip loss';
  const [hash, number] = [(text) => (text === null ? '?' : whole(text)), (value) => (value === null ? '?' : count(value))];
  return card(null, facts([
    [t('integrity.status'), h('span', { class: kind }, t(`integrity.${report.status}`))],
    [t('integrity.stored'), count(report.stored_count)],
    [t('integrity.on_chain'), number(report.chain_count)],
    [t('integrity.stored_head'), hash(report.stored_head)],
    [t('integrity.chain_head'), hash(report.chain_head)],
    [t('integrity.accounts'), report.accounts.compared
      ? t('integrity.accounts.text', { rules: count(report.accounts.rules), users: count(report.accounts.users) }) : t('none')],
    [t('integrity.since'), moment(report.read_since)],
    [t('integrity.journal'), report.journal_explorer ? outside(report.journal_explorer, whole(report.journal)) : whole(report.journal)],
  ]), h('h2', {}, t('integrity.differences')), report.differences.length === 0
    ? h('p', { class: 'quiet' }, t('integrity.no_differences'))
    : table(t('integrity.differences'), [
      { label: '', of: ({ kind: what }) => h('span', { class: 'chip bad' }, what) },
      { label: '', of: ({ detail }) => detail },
    ], report.differences));
}

/// The tree head that this browser saw first, and whether the journal of now begins with it.
function growth({ platform, journal }, path) {
  const kept = `rebate.head.${platform}.${journal}`;
  const said = h('p', { role: 'status' });
  const check = h('button', { type: 'button' }, t('integrity.grew.check'));
  check.addEventListener('click', async () => {
    check.disabled = true;
    try {
      said.textContent = await grown(kept, path);
    } catch (error) {
      said.textContent = `${t('error')}: ${error.message}`;
    }
    check.disabled = false;
  });
  const forget = h('button', { type: 'button', class: 'plain' }, t('integrity.grew.forget'));
  forget.addEventListener('click', () => {
    localStorage.removeItem(kept);
    said.textContent = '';
  });
  return card(t('integrity.grew'), h('p', {}, t('integrity.grew.text')), h('div', { class: 'toolbar' }, check, forget), said);
}

async function grown(kept, path) {
  const now = await get(path('/v1/integrity'));
  const [to, head] = [now.stored_count, now.stored_head];
  const before = JSON.parse(localStorage.getItem(kept) ?? 'null');
  if (before === null) {
    localStorage.setItem(kept, JSON.stringify({ count: to, head }));
    return t('integrity.grew.first', { count: to });
  }
  const { proof } = await get(path('/v1/consistency', { from: before.count, to }));
  const holds = await isConsistent(BigInt(before.count), fromHex(before.head), BigInt(to), fromHex(head), proof.map(fromHex));
  return t(holds ? 'integrity.grew.passed' : 'integrity.grew.failed', { from: before.count, to });
}
