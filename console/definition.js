// A rule version in words, and as lines that can be compared.

import { h } from './dom.js';
import { amount, moment, share } from './format.js';
import { t } from './words.js';

const limit = (text) => (text === '0' ? t('unlimited') : amount(text));

/// What an effect grants.
export function effectText(effect, asset) {
  const values = { asset };
  switch (effect.kind) {
    case 'fixed':
      return t('effect.fixed', { ...values, amount: amount(effect.amount) });
    case 'ratio':
      return t('effect.ratio', { ...values, share: share(effect.bps) })
        + (effect.min === '0' ? '' : t('effect.min', { amount: amount(effect.min) }))
        + (effect.max === '0' ? '' : t('effect.max', { amount: amount(effect.max) }));
    case 'tiers': {
      const value = (text) => (effect.mode === 'fixed' ? amount(text) : share(text));
      const steps = effect.steps.map(([threshold, of]) => t('effect.step', { threshold: amount(threshold), value: value(of) }));
      return t(`effect.tiers.${effect.mode}`, { ...values, steps: steps.join(', ') });
    }
    case 'streak':
      return t(effect.recurring ? 'effect.streak.recurring' : 'effect.streak', { ...values, amount: amount(effect.amount), days: effect.days });
    case 'multiplier':
      return t('effect.multiplier', { ...values, factor: String(effect.bps / 10_000) });
    default:
      return effect.kind;
  }
}

/// The definition as names and texts, of which two versions are compared line by line.
export function definitionLines(version) {
  const { limits } = version;
  return [
    ['rule.name', version.name],
    ['rule.when', version.when.length === 0 ? t('always') : version.when.join(t('rule.and'))],
    ['rule.effect', effectText(version.effect, version.asset_name)],
    ['rule.window', t(`window.${version.window}`)],
    ['rule.scope', t(`scope.${version.scope}`)],
    ['rule.priority', String(version.priority)],
    ['rule.group', `${version.group}, ${t(`group.${version.group_mode}`)}`],
    ['rule.tags', version.tags.join(', ') || t('none')],
    ['rule.excludes', version.excludes.join(', ') || t('none')],
    ['rule.user_limit', t('rule.limit', { amount: limit(limits.user_amount), count: limit(limits.user_count) })],
    ['rule.total_limit', t('rule.limit', { amount: limit(limits.total_amount), count: limit(limits.total_count) })],
    ['rule.on_limit', t(`on_limit.${limits.on_limit}`)],
    ['rule.holdout', share(version.holdout_bps)],
    ['rule.starts_at', version.starts_at ?? t('always')],
    ['rule.ends_at', version.ends_at ?? t('always')],
  ].map(([key, text]) => [t(key), text]);
}

/// From when on and until when a version holds.
export const since = (text) => (text === null ? t('always') : moment(text));

/// Where a version stands now: to come, in force, over.
export function standing(version, now = Date.now()) {
  const at = (text) => (text === null ? null : Date.parse(text));
  if (version.dropped_at !== null || (at(version.superseded_at) ?? Infinity) <= now || (at(version.ends_at) ?? Infinity) <= now) return 'over';
  return (at(version.effective_at) ?? 0) > now || (at(version.starts_at) ?? 0) > now ? 'to_come' : 'in_force';
}

export const standingChip = (version) => {
  const state = standing(version);
  return h('span', { class: { in_force: 'chip gain', to_come: 'chip loss', over: 'chip' }[state] }, t(`rule.${state}`));
};
