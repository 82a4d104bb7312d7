// Charts by uPlot, in the page's colours, each with the same in words for whoever does not see it.

import uPlot from './vendor/uplot/uPlot.esm.js';
import { h } from './dom.js';
import { language } from './words.js';

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const SERIES = ['series-1', 'series-2', 'series-3', 'series-4', 'series-5', 'series-6', 'series-7', 'series-8'];

/// The steps of time that an axis may have, in seconds; months and more are as many days.
const STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200, ...[1, 2, 7, 14, 30, 90, 365].map((days) => days * 86_400)];

/// A chart over time. `series`: [{ label, values, bars }], each as long as `times`, which are Unix seconds; `text` says what
/// it shows. `set(times, values)` of the result shows others.
export function timeChart({ text, times, series, offset = 0, height = 220 }) {
  const place = h('div', { class: 'chart' });
  const description = h('p', { class: 'hidden' }, text);
  const figure = h('figure', { role: 'img', 'aria-label': text }, place, description);
  const grid = { stroke: colour('line'), width: 1 };
  const clock = (seconds, step) => {
    const iso = new Date((seconds + offset) * 1000).toISOString();
    return step < 60 ? iso.slice(11, 19) : step < 86_400 ? iso.slice(11, 16) : iso.slice(5, 10);
  };
  const axis = { stroke: colour('quiet'), grid, ticks: grid, font: '12px system-ui, sans-serif' };
  const number = new Intl.NumberFormat(language(), { notation: 'compact', maximumFractionDigits: 2 });
  let shown = times;
  const step = () => (shown.length > 1 ? shown[1] - shown[0] : 60);
  const options = {
    width: 600,
    height,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { range: (_, low, high) => [low - step() / 2, high + step() / 2] }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.05 : 1] } },
    axes: [{ ...axis, space: 70, incrs: STEPS, values: (_, splits, __, ___, increment) => splits.map((split) => clock(split, increment)) }, { ...axis, size: 60, values: (_, splits) => splits.map((split) => number.format(split)) }],
    series: [{}, ...series.map(({ label, bars }, at) => ({
      label,
      stroke: colour(SERIES[at % SERIES.length]),
      fill: bars ? `${colour(SERIES[at % SERIES.length])}55` : undefined,
      width: 2,
      points: { show: !bars && times.length < 60 },
      paths: bars ? uPlot.paths.bars({ size: [0.8, 40] }) : undefined,
    }))],
  };
  const plot = new uPlot(options, [times, ...series.map(({ values }) => values)], place);
  const observer = new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width > 0) plot.setSize({ width: Math.floor(contentRect.width), height });
  });
  observer.observe(place);
  const legend = h('ul', { class: 'legend', 'aria-hidden': 'true' }, series.map(({ label }, at) => h('li', { class: SERIES[at % SERIES.length] }, label)));
  figure.append(legend);
  return {
    element: figure,
    set(newTimes, newValues, newText) {
      shown = newTimes;
      plot.setData([newTimes, ...newValues]);
      figure.setAttribute('aria-label', newText);
      description.textContent = newText;
    },
    destroy() {
      observer.disconnect();
      plot.destroy();
    },
  };
}
