// One order's page for its user: what was paid, what every rule did with it, and everything verified in the browser.

import { get, path } from './api.js';
import { h, replace } from './dom.js';
import { amount, showTimesAt } from './format.js';
import { orderCards, orderTitle } from './order.js';
import { grant, sentence } from './outcomes.js';
import { card, loading, raw, trouble } from './parts.js';
import { Node } from './verify/node.js';
import { STEPS, verifyOrder } from './verify/order.js';
import { choose, htmlLanguage, language, t } from './words.js';

const HASH = /^[0-9a-f]{64}$/i;
const STORED = 'rebate.node';

const name = decodeURIComponent(location.pathname.replace(/^\/orders\//, ''));
const query = new URLSearchParams(location.search);
const [platform, by] = [query.get('platform'), query.get('by')];

async function show() {
  document.documentElement.lang = htmlLanguage();
  document.title = `${t('order.title')} · ${t('title')}`;
  const switcher = h('button', { type: 'button', class: 'plain small', lang: language() === 'zh' ? 'en' : 'zh-Hans' }, t('language'));
  switcher.addEventListener('click', () => {
    choose(language() === 'zh' ? 'en' : 'zh');
    show();
  });
  const main = h('main', { id: 'main', tabindex: '-1' }, loading());
  replace(document.body,
    h('a', { class: 'skip', href: '#main' }, t('skip')),
    h('div', { class: 'single' },
      h('header', {}, h('span', { class: 'brand' }, h('img', { src: '/console/icon.svg', alt: '' }), t('title')), switcher), main));
  try {
    await fill(main);
  } catch (error) {
    replace(main, h('h1', {}, t('order.title')), trouble(error, t('order.title'), show));
  }
}

async function fill(main) {
  const base = `/v1/orders/${encodeURIComponent(name)}`;
  const order = await get(path(base, { by, platform }));
  const of = await get(`/v1/platforms/${order.platform}`);
  const now = Date.now();
  const offsets = of.utc_offsets.filter(({ from }) => from === null || Date.parse(from) <= now);
  showTimesAt(offsets.at(-1)?.seconds ?? 0);
  const isHash = by === 'hash' || (by === null && HASH.test(name));
  const [record] = order.records;
  replace(main,
    h('h1', {}, orderTitle(name, isHash ? 'hash' : 'number')),
    record && h('section', { class: 'card hero' },
      h('div', { class: 'quiet' }, t('order.amount')),
      h('div', { class: 'big' }, amount(record.amount)),
      h('div', { class: 'chips' }, record.outcomes.filter(({ reason }) => reason === 'Granted').map(grant)),
      h('h2', {}, t('order.outcomes')),
      h('ul', { class: 'outcomes' }, said(record.outcomes))),
    verification(order, base, isHash ? null : name),
    orderCards(order), raw(order));
}

/// What was granted first, then why the rest was not.
function said(outcomes) {
  const isGranted = ({ reason }) => reason === 'Granted';
  const ordered = [...outcomes.filter(isGranted), ...outcomes.filter((outcome) => !isGranted(outcome))];
  return ordered.map((outcome) => h('li', { class: isGranted(outcome) ? 'gain' : null },
    h('strong', {}, outcome.rule_name), h('div', {}, sentence(outcome))));
}

/// The card that verifies.
function verification(order, base, number) {
  const node = h('input', { type: 'url', name: 'node', required: true, spellcheck: 'false', autocomplete: 'off' });
  const button = h('button', {}, t('verify.start'));
  const form = h('form', { class: 'row' },
    h('label', { class: 'field wide' }, h('span', {}, t('verify.node')), node), button);
  const list = h('ol', { class: 'steps', 'aria-label': t('verify.title') });
  const verdict = h('p', { class: 'verdict', role: 'status', hidden: true });
  const chain = get('/v1/chain');
  chain.then((said) => { node.value ||= localStorage.getItem(STORED) ?? said.node ?? ''; }, () => {});
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    verdict.hidden = false;
    verdict.className = 'verdict';
    verdict.textContent = t('verify.running');
    const rows = new Map(STEPS.map((id) => [id, h('li', { 'data-step': id })]));
    replace(list, [...rows.values()]);
    const tell = (id, state, key, values) => {
      const row = rows.get(id);
      row.dataset.state = state;
      const kind = { passed: 'chip gain', failed: 'chip bad', open: 'chip loss' }[state] ?? 'chip';
      replace(row, h('span', {}, h('span', { class: kind }, t(`verify.state.${state}`))), h('span', {}, t(key, values)));
    };
    let right = false;
    try {
      const said = await chain;
      if (node.value !== said.node) localStorage.setItem(STORED, node.value);
      right = await verifyOrder(await whatToCheck(order, base, said, node.value, number), tell);
    } catch (error) {
      tell(STEPS[0], 'failed', 'verify.unanswered', { why: error.message });
    }
    verdict.className = `verdict ${right ? 'passed' : 'failed'}`;
    verdict.textContent = t(right ? 'verify.right' : 'verify.wrong');
    button.disabled = false;
  });
  return card(t('verify.title'), h('p', {}, t('verify.text')), form, h('p', { class: 'quiet' }, t('verify.node.hint')), verdict, list);
}

async function whatToCheck(order, base, chain, url, number) {
  const prove = () => get(path(`${base}/proof`, { by, platform }));
  const { journal_index: index } = await prove();
  const shown = [...order.records, ...order.refunds, ...order.redemptions].find((record) => record.journal_index === index);
  const consistency = (from, to) => get(path('/v1/consistency', { from, to, platform: order.platform }));
  return { node: new Node(url), chain, shown, number, prove, consistency };
}

show();
