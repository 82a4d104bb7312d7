// Numbers, times and addresses for people.

import { h } from './dom.js';
import { language, t } from './words.js';

/// An amount in its smallest unit; amounts are whole and can be larger than a double holds.
export const amount = (text) => BigInt(text).toLocaleString(language());

export const count = (number) => Number(number).toLocaleString(language());

/// A share in basis points.
export const share = (bps) => `${(Number(bps) / 100).toLocaleString(language())} %`;

/// Seconds east of UTC that the platform's clocks show.
let offset = 0;

export function showTimesAt(seconds) {
  offset = seconds;
}

/// The offset as people write it: +08:00.
export function offsetName() {
  const minutes = Math.abs(offset) / 60;
  const two = (number) => String(Math.floor(number)).padStart(2, '0');
  return `${offset < 0 ? '−' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`;
}

const local = (text) => new Date(Date.parse(text) + offset * 1000).toISOString();

/// A moment by the platform's clocks.
export const moment = (text) => {
  const iso = local(text);
  const shown = `${iso.slice(0, 10)} ${iso.slice(11, 19)}`;
  return h('time', { datetime: text, title: `${shown} ${offsetName()}` }, shown);
};

/// The time of day of a moment.
export const clock = (text) => h('time', { datetime: text, title: `${local(text).slice(0, 10)} ${offsetName()}` }, local(text).slice(11, 19));

/// A span of seconds: 3 d 04:05:06.
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const days = Math.floor(whole / 86_400);
  const rest = new Date((whole % 86_400) * 1000).toISOString().slice(11, 19);
  return days > 0 ? `${t('days', { days })} ${rest}` : rest;
}

/// A long hash or address, shortened, whole where somebody points at it or copies it.
export const short = (text) => h('code', { title: text, class: 'short' }, text.length > 14 ? `${text.slice(0, 6)}…${text.slice(-6)}` : text);

/// The same in full.
export const whole = (text) => h('code', { class: 'whole' }, text);
