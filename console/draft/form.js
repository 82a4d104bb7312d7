// A form for one rule, which puts it into the rule file's text.

import { h } from '../dom.js';
import { t } from '../words.js';

const WINDOWS = ['day', 'week', 'month', 'lifetime', 'schedule'];
const SCOPES = ['user', 'user_streamer', 'user_session'];

/// The fields that each kind of effect has, beside its asset.
const EFFECTS = {
  fixed: ['amount'], ratio: ['bps', 'min', 'max'], tiers: ['mode', 'steps'], streak: ['days', 'amount', 'recurring'], multiplier: ['bps'],
};

const LIMITS = ['user_amount', 'user_count', 'total_amount', 'total_count'];

/// The form, filled with `rule` where there is one. `read` gives the file's text, `put` takes the new one.
export function ruleForm(assets, rule, read, put) {
  const version = rule && [...rule.versions].sort((one, other) => other.version - one.version)[0];
  const fields = {};
  const field = (name, input) => {
    fields[name] = input;
    return h('label', { class: 'field', 'data-field': name }, h('span', {}, t(`form.${name}`)), input);
  };
  const text = (name, value = '', attributes = {}) => field(name, h('input', { name, value: String(value ?? ''), autocomplete: 'off', ...attributes }));
  const number = (name, value) => text(name, value === '0' ? '' : value, { inputmode: 'numeric', pattern: '[0-9]*' });
  const select = (name, options, value) => field(name, h('select', { name }, options.map(([key, label]) => h('option', { value: key, selected: String(key) === String(value) }, label))));
  const names = (prefix, keys) => keys.map((key) => [key, t(`${prefix}.${key}`)]);
  const effect = version?.effect ?? { kind: 'ratio' };
  const steps = (effect.steps ?? []).map((step) => step.join(' ')).join('\n');
  const form = h('form', { class: 'row', 'aria-label': t('draft.form') },
    number('id', version?.rule), text('name', version?.name, { required: true, maxlength: '32' }), number('priority', version?.priority), number('group', version?.group),
    field('when', h('textarea', { name: 'when', rows: '3', spellcheck: 'false', value: version?.when.join('\n') ?? '' })),
    select('window', names('window', WINDOWS), version?.window ?? 'lifetime'), select('scope', names('scope', SCOPES), version?.scope ?? 'user'),
    select('kind', Object.keys(EFFECTS).map((kind) => [kind, t(`form.kind.${kind}`)]), effect.kind),
    select('asset', assets.map(({ asset, name }) => [asset, name]), effect.asset),
    number('bps', effect.bps), number('amount', effect.amount), number('days', effect.days), number('min', effect.min), number('max', effect.max),
    select('mode', ['fixed', 'slab', 'marginal'].map((mode) => [mode, mode]), effect.mode ?? 'slab'),
    field('steps', h('textarea', { name: 'steps', rows: '3', spellcheck: 'false', value: steps })),
    select('recurring', [['false', t('no')], ['true', t('yes')]], effect.recurring ?? false),
    LIMITS.map((name) => number(name, version?.limits[name])),
    select('on_limit', [['clip', t('on_limit.clip')], ['reject', t('on_limit.reject')]], version?.limits.on_limit ?? 'clip'),
    number('holdout_bps', version ? String(version.holdout_bps) : ''),
    h('button', {}, t('form.put')));
  fields.id.required = true;
  const showFields = () => {
    const wanted = new Set(EFFECTS[fields.kind.value]);
    for (const name of new Set(Object.values(EFFECTS).flat())) fields[name].closest('.field').hidden = !wanted.has(name);
  };
  fields.kind.addEventListener('change', showFields);
  showFields();
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const values = Object.fromEntries(Object.entries(fields).map(([name, input]) => [name, input.value.trim()]));
    put(replaced(read(), values.id, ruleText(values, version)));
  });
  return form;
}

/// A rule as a rule file has it. What the form does not show is as the version before has it.
function ruleText(values, version) {
  const quoted = (text) => JSON.stringify(text);
  const given = (name) => (values[name] === '' ? [] : [`${name} = ${values[name]}`]);
  const lines = (text) => text.split('\n').map((line) => line.trim()).filter(Boolean);
  const parts = EFFECTS[values.kind].flatMap((name) => {
    if (name === 'mode') return [`mode = ${quoted(values.mode)}`];
    if (name === 'steps') return [`steps = [${lines(values.steps).map((line) => `[${line.split(/[\s,:]+/).join(', ')}]`).join(', ')}]`];
    return given(name);
  });
  const limits = LIMITS.flatMap(given);
  if (limits.length > 0) limits.push(`on_limit = ${quoted(values.on_limit)}`);
  return [
    '[[rule]]', `id = ${values.id}`, `name = ${quoted(values.name)}`, ...given('priority'), ...given('group'),
    lines(values.when).length > 0 && `when = [${lines(values.when).map(quoted).join(', ')}]`,
    `window = ${quoted(values.window)}`, `scope = ${quoted(values.scope)}`,
    `effect = { kind = ${quoted(values.kind)}, asset = ${values.asset}${parts.map((part) => `, ${part}`).join('')} }`,
    limits.length > 0 && `limits = { ${limits.join(', ')} }`,
    ...given('holdout_bps'),
    version?.tags.length > 0 && `tags = [${version.tags.join(', ')}]`,
    version?.excludes.length > 0 && `excludes = [${version.excludes.join(', ')}]`,
    version?.starts_at && `starts_at = ${quoted(version.starts_at)}`,
    version?.ends_at && `ends_at = ${quoted(version.ends_at)}`,
  ].filter(Boolean).join('\n');
}

/// The file with this rule in the place of the one with its number, or behind all others.
function replaced(file, id, rule) {
  const blocks = file.split(/^(?=\[)/m);
  const isRule = (block) => block.startsWith('[[rule]]') && new RegExp(`^id\\s*=\\s*${id}\\s*(#.*)?$`, 'm').test(block);
  const at = blocks.findIndex(isRule);
  if (at < 0) return `${file.trimEnd()}\n\n${rule}\n`;
  return [...blocks.slice(0, at), `${rule}\n\n`, ...blocks.slice(at + 1)].join('');
}
