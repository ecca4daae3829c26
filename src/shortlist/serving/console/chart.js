// Lines over time, small and without a library.

import { h, svg } from "./dom.js";

const WIDTH = 300, HEIGHT = 84;

/**
 * A chart of one or two lines.
 *
 * series: [{name, style, points: [[seconds, value]]}]; span: [first, last] seconds; format(value): text.
 */
export function chart({ title, series, span, format }) {
  const values = series.flatMap((each) => each.points.map(([, value]) => value)).filter(Number.isFinite);
  const most = niceCeiling(Math.max(...values, 0));
  const x = (seconds) => (WIDTH * (seconds - span[0])) / Math.max(span[1] - span[0], 1);
  const y = (value) => HEIGHT - 2 - ((HEIGHT - 3) * value) / most;
  const lines = series.flatMap((each) => {
    const runs = runsOf(each.points).map((run) => run.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`));
    return runs.map((run) => svg("polyline", { class: `line ${each.style}`, points: run.join(" ") }));
  });
  const latest = series.map((each) => `${each.name} ${format(each.points.at(-1)?.[1] ?? NaN)}`).join(", ");
  const said = values.length ? `now ${latest}; at most ${format(Math.max(...values))}` : "nothing yet";
  return h("figure", { class: "chart" },
    h("figcaption", {}, title, h("span", { class: "keys" }, series.length > 1 && series.map((each) =>
      h("span", {}, h("i", { class: each.style, "aria-hidden": "true" }), each.name)))),
    h("div", { class: "plot" },
      h("span", { class: "most", "aria-hidden": "true" }, values.length ? format(most) : "nothing yet"),
      svg("svg", {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
        "aria-label": `${title}: ${said}`,
      }, [1, HEIGHT - 1].map((at) => svg("line", { class: "axis", x1: 0, x2: WIDTH, y1: at, y2: at })), lines)));
}

/** Parts of a line without gaps. */
function runsOf(points) {
  const runs = [[]];
  for (const point of points) {
    if (Number.isFinite(point[1])) runs.at(-1).push(point);
    else if (runs.at(-1).length) runs.push([]);
  }
  return runs.filter((run) => run.length > 0);
}

function niceCeiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}
