// What is on record under an order, for the console and for the user's page.

import { h, outside } from './dom.js';
import { amount, moment, short, whole } from './format.js';
import { outcomeTable } from './outcomes.js';
import { card, facts } from './parts.js';
import { t } from './words.js';

/// The order's number where it is known, else its hash.
export const orderTitle = (name, by) => [t('order.title'), ' ', by === 'number' ? name : short(name)];

/// Everything of it. `userPage` makes the address of a page about a user; without it there is none, and the outcomes are left
/// out, which the user's page says in words.
export function orderCards(order, userPage) {
  const outcomes = (record) => userPage && [h('h3', {}, t('order.outcomes')), outcomeTable(record.outcomes)];
  return [
    order.records.map((record) => card(null, paymentFacts(record, userPage), outcomes(record))),
    order.records.flatMap(({ refunds }) => refunds).map(refundCard),
    order.refunds.map(refundCard),
    order.redemptions.map(redemptionCard),
  ].flat();
}

const user = (key, userPage) => (userPage ? h('a', { href: userPage(key) }, whole(key)) : whole(key));

const present = (name, value) => (value !== null && String(value) !== '0' ? [name, String(value)] : null);

export function paymentFacts(record, userPage) {
  return facts([
    [t('order.amount'), h('strong', {}, amount(record.amount)), h('span', { class: 'quiet' }, ` ${t('smallest_unit')}`)],
    record.refunded !== '0' && [t('order.refunded'), amount(record.refunded)],
    [t('order.paid_at'), moment(record.paid_at)],
    [t('order.recorded_at'), moment(record.recorded_at)],
    [t('order.user'), user(record.user, userPage)],
    [t('order.payment_number'), String(record.payment_number)],
    present(t('order.product'), record.product),
    present(t('order.streamer'), record.streamer),
    present(t('order.session'), record.session),
    present(t('order.tier'), record.tier),
    present(t('order.segments'), record.segments),
    [t('order.hash'), whole(record.order)],
    ...provenance(record),
  ]);
}

/// Where it stands on the chain.
function provenance({ oracle, journal_index: index, transaction }) {
  return [
    [t('order.index'), String(index)],
    [t('order.oracle'), whole(oracle)],
    [t('order.transaction'), whole(transaction.signature), h('br'),
      transaction.explorer ? outside(transaction.explorer, t('order.explorer')) : h('span', { class: 'quiet' }, t('order.no_explorer')),
      h('span', { class: 'quiet' }, ` · ${t(`finality.${transaction.finality}`)}`)],
  ];
}

function refundCard(refund) {
  return card(t('order.refunds'), facts([
    [t('order.refunded'), h('strong', {}, amount(refund.amount))],
    [t('order.paid_at'), moment(refund.paid_at)],
    [t('order.recorded_at'), moment(refund.recorded_at)],
    [t('order.hash'), whole(refund.of)],
    ...provenance(refund),
  ]), outcomeTable(refund.outcomes));
}

function redemptionCard(redemption) {
  const { asset_name: asset, before, after } = redemption;
  const values = { amount: amount(redemption.amount), asset, before: amount(before), after: amount(after) };
  return card(t('order.redemption'), h('p', {}, t('order.redeemed', values)), facts([
    [t('order.recorded_at'), moment(redemption.recorded_at)], [t('order.user'), whole(redemption.user)], ...provenance(redemption),
  ]));
}
