// The transactions that publish a draft, for the admin's wallet or a multisig.

import { get, post } from '../api.js';
import { h, replace } from '../dom.js';
import { moment, offsetName, span } from '../format.js';
import { card, copyButton, facts, trouble } from '../parts.js';
import { fromBase64, toBase58 } from '../verify/bytes.js';
import { wallets } from './wallet.js';
import { t } from '../words.js';

export function publishCard(draft, platform) {
  const admin = h('input', { name: 'admin', required: true, value: platform.admin, spellcheck: 'false', autocomplete: 'off' });
  const at = h('input', { type: 'datetime-local', name: 'at', step: '1' });
  const end = h('input', { type: 'checkbox', name: 'end' });
  const field = (name, input) => h('label', { class: 'field' }, h('span', {}, t(`publish.${name}`)), input);
  const form = h('form', { class: 'row', 'aria-label': t('publish.title') },
    h('label', { class: 'field wide' }, h('span', {}, t('publish.admin')), admin), field('at', at), field('end', end), h('button', {}, t('publish.make')));
  const said = h('div', { 'aria-live': 'polite' });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const effective = at.value ? `${at.value.length === 16 ? `${at.value}:00` : at.value}${offsetName().replace('−', '-')}` : undefined;
    try {
      const made = await post('/v1/rules/transaction', { ...draft(), admin: admin.value.trim(), effective_at: effective, end_missing: end.checked });
      replace(said, await shown(made));
    } catch (error) {
      replace(said, trouble(error, t('publish.title')));
    }
  });
  return card(t('publish.title'), h('p', {}, t('publish.text', { timelock: span(platform.timelock) })), form, said);
}

async function shown(made) {
  if (made.transactions.length === 0) return h('p', {}, t('publish.nothing'));
  const [signers, { cluster }] = [wallets(), await get('/v1/chain')];
  return h('div', {},
    facts([
      [t('rule.since'), made.effective_at ? moment(made.effective_at) : t('always')],
      made.earliest && [t('publish.earliest'), moment(made.earliest)],
      [t('publish.until'), String(made.last_valid_block_height)],
    ]),
    made.transactions.map(({ transaction, bytes, does }, at) => card(t('publish.transaction', { number: at + 1, bytes }),
      h('ul', {}, does.map((sentence) => h('li', {}, sentence))),
      h('label', { class: 'field' }, h('span', {}, t('publish.base64')), h('textarea', { class: 'base64', readonly: true, rows: '4', value: transaction })),
      h('div', { class: 'toolbar' }, copyButton(() => transaction), signers.map((wallet) => signButton(wallet, transaction, cluster))))),
    signers.length === 0 && h('p', { class: 'quiet' }, t('publish.no_wallet')));
}

/// Lets a wallet sign and send; it shows what it signs and asks its owner.
function signButton(wallet, transaction, cluster) {
  const said = h('span', { role: 'status' });
  const button = h('button', { type: 'button' }, t('publish.sign', { wallet: wallet.name }));
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      said.textContent = t('publish.sent', { signature: toBase58(await wallet.send(fromBase64(transaction), cluster)) });
    } catch (error) {
      said.textContent = `${t('error')}: ${error.message}`;
      button.disabled = false;
    }
  });
  return [button, said];
}
