// What rules did with a record, in words.

import { h } from './dom.js';
import { amount } from './format.js';
import { table } from './parts.js';
import { knows, t } from './words.js';

/// The API's own sentence where it has one, else this page's.
export function sentence(outcome) {
  if (outcome.text) return outcome.text;
  const key = `reason.${outcome.reason}`;
  const values = { amount: amount(outcome.amount), asset: outcome.asset_name, failing: outcome.failing ?? '' };
  return knows(key) ? t(key, values) : outcome.reason;
}

/// A word for a reason.
export const reasonName = (reason) => (knows(`reason.short.${reason}`) ? t(`reason.short.${reason}`) : reason);

/// Reasons that hold something back from somebody who would have got it.
export const HELD_BACK = new Set(['LateForWindow', 'UserLimit', 'BudgetSpent', 'GroupTaken', 'Excluded', 'VaultShort']);

/// The sign in front of an amount, the amount and its asset.
export const grant = (outcome) => h('span', { class: outcome.reason === 'Reversed' ? 'chip loss' : 'chip gain' },
  `${outcome.reason === 'Reversed' ? '−' : '+'}${amount(outcome.amount)} ${outcome.asset_name}`);

/// A table of outcomes.
export function outcomeTable(outcomes) {
  const isMoved = ({ reason }) => reason === 'Granted' || reason === 'Reversed';
  return table(t('order.outcomes'), [
    { label: t('order.rule'), of: (outcome) => [outcome.rule_name, h('span', { class: 'quiet' }, ` ${outcome.rule}.${outcome.version}`)] },
    { label: t('order.result'), of: (outcome) => (isMoved(outcome) ? grant(outcome) : h('span', { class: 'chip' }, reasonName(outcome.reason))) },
    { label: '', of: sentence },
    { label: t('order.before_after'), numeric: true, of: (outcome) => (isMoved(outcome) ? `${amount(outcome.before)} → ${amount(outcome.after)}` : '') },
  ], outcomes);
}
