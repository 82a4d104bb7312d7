// The rules of a platform.

import { get } from '../api.js';
import { effectText, since, standing, standingChip } from '../definition.js';
import { h, replace } from '../dom.js';
import { amount, span } from '../format.js';
import { card, loading, table } from '../parts.js';
import { t } from '../words.js';

export async function show(place, { path, signal }) {
  const head = h('div', { class: 'page-head' }, h('h1', {}, t('nav.rules')), h('a', { class: 'button', href: '#/rules/draft' }, t('draft.new')));
  replace(place, head, loading());
  const versions = await allVersions(path, signal);
  const latest = versions.filter((version) => standing(version) !== 'over');
  const over = versions.filter((version) => standing(version) === 'over');
  replace(place, head,
    card(t('rules.current'), ruleTable(latest, t('rules.current'))),
    over.length > 0 && card(t('rules.over'), ruleTable(over, t('rules.over'))));
  countDown(place, signal);
}

/// Every version there is.
export async function allVersions(path, signal) {
  const versions = [];
  let cursor;
  do {
    const answer = await get(path('/v1/rules', { limit: 200, cursor }), { signal });
    versions.push(...answer.items);
    cursor = answer.next_cursor;
  } while (cursor);
  return versions;
}

function ruleTable(versions, caption) {
  return table(caption, [
    { label: t('rule'), of: (version) => [h('a', { href: `#/rules/${version.rule}` }, version.name), h('span', { class: 'quiet' }, ` ${version.rule}.${version.version}`)] },
    { label: t('rule.standing'), of: (version) => [standingChip(version), timeLeft(version)] },
    { label: t('rule.effect'), of: (version) => effectText(version.effect, version.asset_name) },
    { label: t('rule.granted'), numeric: true, of: (version) => amount(version.granted) },
    { label: t('rule.reversed'), numeric: true, of: (version) => amount(version.reversed) },
    { label: t('rule.since'), of: (version) => since(version.effective_at) },
  ], versions);
}

/// The countdown of a version that is to come; `countDown` lets it run.
export function timeLeft(version) {
  if (standing(version) !== 'to_come' || version.effective_at === null) return null;
  return h('div', { class: 'countdown', 'data-until': version.effective_at });
}

/// Lets the countdowns in `place` run; at the end of one, the page is asked for again.
export function countDown(place, signal) {
  const tick = () => {
    for (const element of place.querySelectorAll('[data-until]')) {
      const seconds = (Date.parse(element.dataset.until) - Date.now()) / 1000;
      element.textContent = seconds > 0 ? t('rule.countdown', { left: span(seconds) }) : t('rule.in_force');
    }
  };
  tick();
  const timer = setInterval(tick, 1000);
  signal.addEventListener('abort', () => clearInterval(timer));
}
