// A draft of rules: written as TOML or put together in a form, checked while it is written, tested on what was really paid,
// and made into transactions for the admin's wallet. This server holds no key.

import { get, post } from '../api.js';
import { h, replace } from '../dom.js';
import { has } from '../features.js';
import { signedIn, whose } from '../key.js';
import { absent, card, loading, trouble } from '../parts.js';
import { t } from '../words.js';
import { backtestCard } from '../draft/backtest.js';
import { checked } from '../draft/check.js';
import { ruleForm } from '../draft/form.js';
import { publishCard } from '../draft/publish.js';

/// How long nobody types before the draft is checked.
const PAUSE = 400;

export async function show(place, { again, path, platform, query, signal }) {
  const title = h('h1', {}, t('draft.title'));
  if (!(await has('/v1/rules/check'))) {
    replace(place, title, absent(t('draft.title')));
    return;
  }
  if (!(await signedIn(place, title, again))) return;
  replace(place, title, loading());
  const [file, { items: platforms }] = await Promise.all([get(path('/v1/rules/file'), { signal }), get('/v1/platforms', { signal })]);
  const about = platforms.find((one) => one.platform === file.platform);
  const chosen = query.get('rule');
  const rule = chosen === null ? null : await get(path(`/v1/rules/${chosen}`), { signal });

  const text = h('textarea', { class: 'code', name: 'toml', spellcheck: 'false', autocapitalize: 'off', maxlength: '250000', value: file.toml, 'aria-describedby': 'draft-said' });
  const said = h('div', { id: 'draft-said', 'aria-live': 'polite' }, loading());
  const draft = () => ({ toml: text.value, platform });
  let [timer, running] = [undefined, undefined];
  const check = async () => {
    running?.abort();
    running = new AbortController();
    try {
      const answer = await post('/v1/rules/check', draft(), { signal: running.signal });
      text.setAttribute('aria-invalid', String(!answer.sound));
      replace(said, checked(answer, (error) => goTo(text, error)));
    } catch (error) {
      if (error.name !== 'AbortError') replace(said, trouble(error, t('draft.title')));
    }
  };
  text.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE);
  });
  signal.addEventListener('abort', () => {
    clearTimeout(timer);
    running?.abort();
  });
  const put = (toml) => {
    text.value = toml;
    check();
  };
  const form = h('details', { open: rule !== null }, h('summary', {}, t('draft.form')), ruleForm(about.assets, rule, () => text.value, put));
  replace(place, title, await whose(again), h('p', {}, t('draft.text')),
    h('div', { class: 'columns' },
      card(null, h('label', { class: 'field' }, h('span', {}, t('draft.toml')), text), form),
      card(t('draft.check'), said)),
    backtestCard(draft, signal), publishCard(draft, about));
  await check();
}

/// Puts the caret where an error is.
function goTo(text, { line, column }) {
  const lines = text.value.split('\n');
  const at = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
  text.focus();
  text.setSelectionRange(at, at);
  text.scrollTop = (text.scrollHeight / lines.length) * Math.max(0, line - 4);
}
