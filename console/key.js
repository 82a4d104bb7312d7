// An operator's key: asked for where something needs one, kept until the tab is closed.

import { get, operatorKey } from './api.js';
import { h, replace } from './dom.js';
import { has } from './features.js';
import { card, trouble } from './parts.js';
import { t } from './words.js';

/// Whether somebody may go on: shows a form for the key in `place` where not. `again` is called once there is a key.
export async function signedIn(place, title, again) {
  if (!(await has('/v1/operators/me'))) return true;
  if (operatorKey.get()) {
    try {
      await get('/v1/operators/me');
      return true;
    } catch (error) {
      if (!error.isForbidden && !error.isAbsent) throw error;
      operatorKey.set(null);
      replace(place, title, form(again, trouble(error, t('key.operators'))));
      return false;
    }
  }
  replace(place, title, form(again));
  return false;
}

function form(again, said) {
  const key = h('input', { type: 'password', name: 'key', required: true, autocomplete: 'off', spellcheck: 'false' });
  const form = h('form', { class: 'row' }, h('label', { class: 'field wide' }, h('span', {}, t('key.label')), key), h('button', {}, t('key.use')));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    operatorKey.set(key.value.trim());
    again();
  });
  return card(t('forbidden'), h('p', {}, t('key.text')), said, form);
}

/// Whose key it is, and a way to be without.
export async function whose(again) {
  if (!operatorKey.get() || !(await has('/v1/operators/me'))) return null;
  const { name, role } = await get('/v1/operators/me');
  const forget = h('button', { type: 'button', class: 'plain small' }, t('key.forget'));
  forget.addEventListener('click', () => {
    operatorKey.set(null);
    again();
  });
  return h('p', { class: 'quiet' }, t('key.whose', { name, role }), ' ', forget);
}
