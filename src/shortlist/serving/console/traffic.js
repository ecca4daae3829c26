// The view of traffic: how many requests, how fast, and what went wrong, read from /metrics every two seconds.

import { text } from "./api.js";
import { chart } from "./chart.js";
import { duration, h, put, score, whole } from "./dom.js";
import { growth, quantile, rate, reading, total, valuesOf } from "./metrics.js";

const EVERY = 2_000; // milliseconds
const KEPT = 150; // readings: five minutes
const WINDOW = 5; // readings that the numbers of now are taken over
const OWN = ["console", "console_file", "metrics", "healthz", "readyz", "docs", "openapi"]; // not what users wait for

const NOTHING = reading("", 0); // before the server started

const isTraffic = (labels) => !OWN.includes(labels.operation);
const isList = (labels) => labels.operation === "recommend";
const isShed = (labels) => isTraffic(labels) && ["429", "503"].includes(labels.status);
const isWrong = (labels) => isTraffic(labels) && labels.status >= "400" && !isShed(labels);

/** Builds the view; it reads while it is looked at. */
export function trafficView(root) {
  const readings = [];
  let timer = 0, paused = false;
  const tiles = h("dl", { class: "tiles" }), charts = h("div", { class: "charts" });
  const operations = h("div", { class: "card" }), stages = h("div", { class: "card" });
  const pause = h("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: toggle }, "Pause");
  const problem = h("p", { class: "problem", role: "alert" });
  root.replaceChildren(
    h("div", { class: "head" }, h("h2", {}, "Traffic"), pause), problem, tiles, charts,
    h("div", { class: "pair" }, operations, stages));

  function toggle() {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
  }

  async function read() {
    if (paused || document.hidden) return;
    try {
      readings.push(reading(await text("metrics"), performance.now() / 1000));
      problem.textContent = "";
    } catch (error) {
      problem.textContent = error.message;
      if (error.status === 401 || error.status === 403) hide();
      return;
    }
    if (readings.length > KEPT) readings.shift();
    show();
  }

  function show() {
    const now = readings.at(-1), before = readings.at(-1 - WINDOW) ?? readings[0];
    put(tiles,
      tile("Requests a second", score(rate(before, now, "shortlist_requests_total", isTraffic))),
      tile("Lists: median", duration(quantile(before, now, "shortlist_request_seconds", 0.5, isList))),
      tile("Lists: 99 of 100", duration(quantile(before, now, "shortlist_request_seconds", 0.99, isList))),
      tile("Events kept a second", score(rate(before, now, "shortlist_events_total"))),
      tile("Shed", whole(growth(readings[0], now, "shortlist_requests_total", isShed)), "429 and 503, since this page was opened"),
      tile("Fallbacks and cuts", whole(
        growth(readings[0], now, "shortlist_fallbacks_total") + growth(readings[0], now, "shortlist_stages_cut_total"),
      ), "for lack of time, since this page was opened"));
    put(charts, history());
    put(operations, h("h3", {}, "Operations since the server started"), operationTable(now));
    put(stages, h("h3", {}, "Stages: mean of a batch"), stageTable(now));
  }

  function history() {
    const steps = readings.slice(1).map((after, place) => [readings[place], after]);
    const over = (value) => steps.map(([before, after]) => [after.at, value(before, after)]);
    const last = readings.at(-1).at, span = [Math.min(readings[0].at, last - 60), last];
    const within = (share) => (before, after) => quantile(before, after, "shortlist_request_seconds", share, isList);
    return [
      chart({
        title: "Requests a second", span, format: score,
        series: [{ name: "requests", style: "a", points: over((...two) => rate(...two, "shortlist_requests_total", isTraffic)) }],
      }),
      chart({
        title: "Time of a list", span, format: duration,
        series: [
          { name: "99 of 100", style: "b", points: over(within(0.99)) },
          { name: "median", style: "a", points: over(within(0.5)) },
        ],
      }),
    ];
  }

  return {
    start: () => { clearInterval(timer); timer = setInterval(read, EVERY); read(); },
    stop: () => hide(),
  };

  function hide() {
    clearInterval(timer);
  }
}

function tile(name, value, note) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value, note && h("small", {}, note)));
}

/** Since the server started: how often each operation was asked for, and how long it took. */
function operationTable(now) {
  const names = valuesOf(now, "shortlist_requests_total", "operation").filter((operation) => isTraffic({ operation }));
  if (!names.length) return h("p", { class: "note" }, "Nobody has asked for anything yet.");
  const rows = names.map((operation) => {
    const is = (labels) => labels.operation === operation;
    return {
      operation, count: total(now, "shortlist_requests_total", is),
      wrong: total(now, "shortlist_requests_total", (labels) => is(labels) && isWrong(labels)),
      median: quantile(NOTHING, now, "shortlist_request_seconds", 0.5, is),
    };
  }).sort((a, b) => b.count - a.count);
  return h("table", { class: "rows" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Operation"), ["Answers", "Refused", "Median"].map((name) =>
      h("th", { scope: "col", class: "number" }, name)))),
    h("tbody", {}, rows.map((row) => h("tr", {},
      h("th", { scope: "row" }, row.operation.replaceAll("_", " ")), h("td", { class: "number" }, whole(row.count)),
      h("td", { class: "number" }, whole(row.wrong)), h("td", { class: "number" }, duration(row.median))))));
}

/** The mean seconds of a batch in each stage, since the server started. */
function stageTable(now) {
  const rows = valuesOf(now, "shortlist_stage_seconds_count", "stage").map((stage) => {
    const is = (labels) => labels.stage === stage;
    const count = total(now, "shortlist_stage_seconds_count", is);
    return { stage, mean: total(now, "shortlist_stage_seconds_sum", is) / Math.max(count, 1) };
  });
  if (!rows.length) return h("p", { class: "note" }, "No list was made yet.");
  const most = Math.max(...rows.map((row) => row.mean));
  return h("ul", { class: "meters" }, rows.map((row) => {
    const fill = h("span", { class: "fill" });
    fill.style.width = `${(100 * row.mean) / most}%`;
    return h("li", {}, h("span", {}, row.stage), h("span", { class: "track", "aria-hidden": "true" }, fill),
      h("span", { class: "number" }, duration(row.mean)));
  }));
}
