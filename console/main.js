// The console's frame: which page stands where, which platform it is about, and what happens on the way from one to the next.

import { get, path } from './api.js';
import { h, replace } from './dom.js';
import { showTimesAt } from './format.js';
import { follow } from './live.js';
import { loading, trouble } from './parts.js';
import { choose, htmlLanguage, language, t } from './words.js';
import * as analytics from './pages/analytics.js';
import * as audit from './pages/audit.js';
import * as deadLetters from './pages/dead-letters.js';
import * as draft from './pages/draft.js';
import * as integrity from './pages/integrity.js';
import * as order from './pages/order.js';
import * as orders from './pages/orders.js';
import * as overview from './pages/overview.js';
import * as rule from './pages/rule.js';
import * as rules from './pages/rules.js';

/// Addresses behind `#/`, the page each shows, and what of the navigation it belongs to.
const ROUTES = [
  [/^$/, overview, ''],
  [/^orders$/, orders, 'orders'],
  [/^orders\/([^/]+)$/, order, 'orders'],
  [/^rules$/, rules, 'rules'],
  [/^rules\/draft$/, draft, 'rules'],
  [/^rules\/(\d+)$/, rule, 'rules'],
  [/^analytics$/, analytics, 'analytics'],
  [/^integrity$/, integrity, 'integrity'],
  [/^dead-letters$/, deadLetters, 'dead-letters'],
  [/^audit$/, audit, 'audit'],
];

const NAVIGATION = [
  ['', 'nav.overview'], ['orders', 'nav.orders'], ['rules', 'nav.rules'], ['analytics', 'nav.analytics'],
  ['integrity', 'nav.integrity'], ['dead-letters', 'nav.dead_letters'], ['audit', 'nav.audit'],
];

/// What every page works with.
const context = {
  /// The platform's address, as the address bar has it; null for the only one.
  platform: new URLSearchParams(location.search).get('platform'),
  /// A path of the API about that platform.
  path: (base, query = {}) => path(base, { ...query, platform: context.platform }),
};

let current = new AbortController();
let main;

function frame() {
  document.documentElement.lang = htmlLanguage();
  document.title = `${t('title')} · ${t('console')}`;
  const switcher = h('button', { type: 'button', class: 'plain small', lang: language() === 'zh' ? 'en' : 'zh-Hans' }, t('language'));
  switcher.addEventListener('click', () => {
    choose(language() === 'zh' ? 'en' : 'zh');
    frame();
    show();
  });
  main = h('main', { id: 'main', tabindex: '-1' });
  const links = NAVIGATION.map(([to, name]) => h('li', {}, h('a', { href: `#/${to}`, 'data-page': to }, t(name))));
  replace(document.body,
    h('a', { class: 'skip', href: '#main', onclick: (event) => { event.preventDefault(); main.focus(); } }, t('skip')),
    h('div', { class: 'frame' },
      h('header', { class: 'side' },
        h('a', { class: 'brand', href: '#/' }, h('img', { src: '/console/icon.svg', alt: '' }), t('title')),
        h('nav', { 'aria-label': t('menu') }, h('ul', {}, links)),
        h('div', { class: 'side-foot' }, h('div', { id: 'platforms' }), switcher)),
      main));
  choosePlatform();
}

/// Where several platforms are on record, one can be chosen.
async function choosePlatform() {
  let items;
  try {
    ({ items } = await get(path('/v1/platforms', { limit: 200 })));
  } catch {
    // The page itself says what is wrong.
    return;
  }
  if (items.length < 2) return;
  context.platform ??= items[0].platform;
  const options = items.map(({ platform, id }) => h('option', { value: platform, selected: platform === context.platform }, `${id} · ${platform.slice(0, 8)}…`));
  const select = h('select', { 'aria-label': t('platform') }, options);
  select.addEventListener('change', () => {
    const address = new URL(location.href);
    address.searchParams.set('platform', select.value);
    location.href = address;
  });
  replace(document.getElementById('platforms'), select);
}

/// The platform's local time is what pages show.
async function setClock() {
  try {
    const { items } = await get(path('/v1/platforms', { limit: 200 }));
    const platform = items.find((one) => one.platform === context.platform) ?? items[0];
    const now = Date.now();
    const offsets = (platform?.utc_offsets ?? []).filter(({ from }) => from === null || Date.parse(from) <= now);
    showTimesAt(offsets.at(-1)?.seconds ?? 0);
    context.offset = offsets.at(-1)?.seconds ?? 0;
  } catch {
    showTimesAt(0);
  }
}

async function show() {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  const [where, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const found = ROUTES.map(([pattern, page, section]) => ({ match: where.match(pattern), page, section })).find(({ match }) => match);
  const { page, section, match } = found ?? { page: overview, section: '', match: [''] };
  for (const link of document.querySelectorAll('[data-page]')) {
    if (link.dataset.page === section) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  await setClock();
  if (signal.aborted) return;
  const about = {
    ...context,
    signal,
    query: new URLSearchParams(query),
    argument: match[1] === undefined ? undefined : decodeURIComponent(match[1]),
    follow: (told) => follow(context.platform, { ...told, signal }),
    again: show,
  };
  // A page has a heading from the start, whatever it waits for.
  const name = t(`nav.${section.replace('-', '_') || 'overview'}`);
  const place = h('div', {}, h('h1', {}, name), loading());
  replace(main, place);
  try {
    await page.show(place, about);
  } catch (error) {
    if (error.name === 'AbortError' || signal.aborted) return;
    replace(place, h('h1', {}, name), trouble(error, name, show));
  }
}

window.addEventListener('hashchange', () => {
  show();
  // Whoever reads by ear or walks by keyboard goes on where the new page begins.
  main.focus();
  window.scrollTo(0, 0);
});

frame();
show();
