// SPDX-License-Identifier: Apache-2.0
// Plots of what was counted over the last hours, by Chart.js, which comes with this page.

import { make } from "./dom.js";

const colour = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const moment = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

function makeScales(format) {
  const line = colour("line"), ticks = { color: colour("quiet"), maxRotation: 0, font: { size: 11 } };
  return {
    x: {
      type: "linear", grid: { display: false, borderColor: line },
      ticks: { ...ticks, includeBounds: false, callback: ms => time.format(ms) },
    },
    y: { beginAtZero: true, grid: { color: line, drawBorder: false }, ticks: { ...ticks, maxTicksLimit: 5, callback: format } },
  };
}

function makeOptions(format) {
  return {
    animation: false, normalized: true, parsing: false, maintainAspectRatio: false, responsive: true,
    interaction: { mode: "index", intersect: false },
    elements: { point: { radius: 0, hoverRadius: 3 }, line: { borderWidth: 1.5 } },
    scales: makeScales(format),
    plugins: {
      legend: { display: false },
      tooltip: { callbacks: {
        title: ([{ parsed }]) => moment.format(parsed.x),
        label: ({ dataset, parsed }) => `${dataset.label}: ${format(parsed.y)}`,
      } },
    },
  };
}

const STEPS_MS = [60, 180, 600, 3600].map(s => 1000 * s);
const stepOf = range => STEPS_MS.find(step => range / step <= 6) ?? STEPS_MS.at(-1);

// A plot has a title, and a function that writes a value.
export class Plot {
  #chart;
  #canvas = make("canvas", { role: "img" });
  #legend = make("ul", { className: "legend", role: "list" });
  #format;

  constructor(title, format) {
    this.#format = format;
    this.title = title;
    this.element = make("figure", { className: "panel" }, make("figcaption", {}, make("h3", {}, title), this.#legend),
      make("div", { className: "canvas" }, this.#canvas));
  }

  #makeChart() {
    return new globalThis.Chart(this.#canvas, { type: "line", data: { datasets: [] }, options: makeOptions(this.#format) });
  }

  // Colours are read when a chart is made, so it is made anew when the scheme changes.
  forget() {
    this.#chart?.destroy();
    this.#chart = undefined;
  }

  #showLegend(lines) {
    const items = lines.map(({ name, look, points }) => {
      const last = points.findLast(({ y }) => y !== null);
      return make("li", { className: look }, `${name} `, make("b", {}, last ? this.#format(last.y) : "–"));
    });
    this.#legend.replaceChildren(...items);
    this.#canvas.ariaLabel = `${this.title}, now: ${items.map(item => item.textContent).join(", ")}`;
  }

  // lines: { name, look, points: [{ x, y }] }; look is a colour of the style sheet
  show(lines, min, max) {
    this.#chart ??= this.#makeChart();
    this.#chart.data.datasets = lines.map(({ name, look, points }) => ({
      label: name, data: points, borderColor: colour(look), backgroundColor: colour(look),
      pointRadius: points.some(({ y }) => y === null) ? 1.5 : 0,  // one between two that are not there
    }));
    const { x } = this.#chart.options.scales;
    Object.assign(x, { min, max });
    x.ticks.stepSize = stepOf(max - min);
    this.#chart.update("none");
    this.#showLegend(lines);
  }
}
