// What there is to say of a draft.

import { h } from '../dom.js';
import { table } from '../parts.js';
import { t } from '../words.js';

const KIND = { new: 'chip gain', changed: 'chip loss', same: 'chip' };

export function checked({ sound, errors, findings, rules, missing }, goTo) {
  return [
    h('p', { class: `verdict ${sound ? 'passed' : 'failed'}` }, t(sound ? 'draft.sound' : 'draft.wrong')),
    errors.length > 0 && h('ul', { class: 'outcomes' }, errors.map((error) => h('li', {},
      error.line && h('button', { type: 'button', class: 'plain small', onclick: () => goTo(error) }, t('draft.line', { line: error.line, column: error.column })),
      ' ', error.message))),
    findings.length > 0 && [h('h3', {}, t('draft.findings')), h('ul', { class: 'outcomes' }, findings.map(({ weight, message }) => h('li', {},
      h('span', { class: weight === 'warning' ? 'chip loss' : 'chip' }, t(`draft.${weight}`)), ' ', message)))],
    rules.length > 0 && [h('h3', {}, t('draft.rules')), h('ul', { class: 'outcomes' }, rules.map(explained))],
    missing.length > 0 && h('p', { class: 'quiet' }, t('draft.missing', { rules: missing.map(({ rule, name }) => `${rule} “${name}”`).join(', ') })),
  ].flat().filter(Boolean);
}

function explained({ explanation, status, differences }) {
  return h('li', { class: status === 'same' ? null : 'gain' },
    h('span', { class: KIND[status] ?? 'chip' }, t(`draft.status.${status}`)), ' ', explanation,
    differences.length > 0 && table(t('rule.compare'), [
      { label: t('rule.part'), of: ({ field }) => h('code', {}, field) },
      { label: t('draft.was'), of: ({ from }) => from },
      { label: t('draft.is'), of: ({ to }) => h('strong', {}, to) },
    ], differences));
}
