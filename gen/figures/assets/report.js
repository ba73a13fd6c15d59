"use strict";
(() => {
  const payload = JSON.parse(document.getElementById("payload").textContent);
  const byId = (id) => document.getElementById(id);
  const number = (v) => (v === null || v === undefined ? "–" : Number(v.toPrecision(5)).toLocaleString("en", { maximumSignificantDigits: 5 }));
  const short = (v) => {
    const size = Math.abs(v);
    if (size >= 1e6) return `${+(v / 1e6).toPrecision(4)}M`;
    if (size >= 1e4) return `${+(v / 1e3).toPrecision(4)}k`;
    return size > 0 && size < 1e-3 ? v.toExponential(0) : String(+v.toPrecision(6));
  };

  function element(tag, attributes = {}, text = "", svg = false) {
    const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== "") node.textContent = text;
    return node;
  }

  // Samples: one slider over the steps of all runs; each run shows its latest picture up to the chosen step.
  function setUpSamples() {
    const slider = byId("step");
    if (!slider) return;
    const steps = [...new Set(payload.samples.flat().map(([step]) => step))].sort((a, b) => a - b);
    const images = [...document.querySelectorAll("img[data-run]")];
    slider.max = steps.length - 1;
    slider.value = steps.length - 1;
    const show = () => {
      const step = steps[slider.value];
      byId("step-value").textContent = `step ${step.toLocaleString("en")}`;
      slider.setAttribute("aria-valuetext", `step ${step}`);
      for (const image of images) {
        const frames = payload.samples[image.dataset.run];
        const frame = frames.filter(([at]) => at <= step).pop() || frames[0];
        if (image.getAttribute("src") !== frame[1]) image.src = frame[1];
        document.querySelector(`[data-step="${image.dataset.run}"]`).textContent = frame[0].toLocaleString("en");
      }
    };
    slider.addEventListener("input", show);
    setUpPlay(slider, show);
    show();
  }

  function setUpPlay(slider, show) {
    const button = byId("play");
    let timer = null;
    const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
    const advance = () => {
      if (+slider.value >= +slider.max) return stop();
      slider.value = +slider.value + 1;
      show();
    };
    button.addEventListener("click", () => {
      if (timer) return stop();
      if (+slider.value >= +slider.max) { slider.value = 0; show(); }
      button.textContent = "Pause";
      timer = setInterval(advance, 250);
    });
    slider.addEventListener("pointerdown", stop);
  }

  // Curves
  const hidden = new Set();
  const MARGIN = { left: 52, right: 12, top: 8, bottom: 24 };
  const HEIGHT = 210;
  const POINTS = 60;
  const isLog = (chart) => byId("log").checked || chart.log.checked;

  // Exponential moving average without bias towards zero at its start: sum of w^k v over sum of w^k.
  function smooth(values, weight) {
    if (weight === 0) return values;
    let total = 0, mass = 0;
    return values.map((v) => {
      if (v === null) return null;
      total = weight * total + v;
      mass = weight * mass + 1;
      return total / mass;
    });
  }

  function prepare(curve) {
    const weight = +byId("smoothing").value;
    return curve.lines.filter((line) => !hidden.has(line.group) && line.steps.length).map((line) => ({
      ...line, mean: smooth(line.mean, weight),
      ...(line.seeds > 1 ? { low: smooth(line.low, weight), high: smooth(line.high, weight) } : {}),
    }));
  }

  function valueRange(lines, references, log) {
    const usable = (v) => v !== null && (!log || v > 0);
    const ends = lines.flatMap((l) => (l.seeds > 1 ? [...l.low, ...l.high] : l.mean)).filter(usable).sort((a, b) => a - b);
    if (!ends.length) return null;
    const scaled = ends.map((v) => (log ? Math.log10(v) : v));
    const trim = Math.floor(scaled.length * 0.02);
    let [low, high] = [scaled[0], scaled[scaled.length - 1]];
    const [from, to] = [scaled[trim], scaled[scaled.length - 1 - trim]];
    if (byId("outliers").checked && to > from && high - low > 4 * (to - from)) [low, high] = [from, to];
    for (const { value } of references.filter(({ value }) => usable(value))) {
      const at = log ? Math.log10(value) : value;
      [low, high] = [Math.min(low, at), Math.max(high, at)];
    }
    const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    return [low - room, high + room];
  }

  function ticks(low, high, count) {
    const raw = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
    const first = Math.ceil(low / step);
    return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, i) => (first + i) * step);
  }

  function pathOf(xs, ys) {
    let path = "", pen = "M";
    xs.forEach((x, i) => {
      if (ys[i] === null) { pen = "M"; return; }
      path += `${pen}${x.toFixed(1)} ${ys[i].toFixed(1)}`;
      pen = "L";
    });
    return path;
  }

  function drawAxes(svg, width, x, y, range, log) {
    const bottom = HEIGHT - MARGIN.bottom;
    const marks = ticks(range.y[0], range.y[1], 5);
    const values = log ? (marks.filter(Number.isInteger).length > 1 ? marks.filter(Number.isInteger) : marks) : marks;
    for (const v of values) {
      svg.append(element("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(v), y2: y(v) }, "", true));
      const label = short(log ? +(10 ** v).toPrecision(3) : v);
      svg.append(element("text", { x: MARGIN.left - 6, y: y(v) + 4, "text-anchor": "end" }, label, true));
    }
    svg.append(element("line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom }, "", true));
    for (const v of ticks(range.x[0], range.x[1], Math.max(2, Math.floor(width / 70)))) {
      const anchor = x(v) > width - 26 ? "end" : "middle";
      svg.append(element("text", { x: anchor === "end" ? width - 2 : x(v), y: HEIGHT - 7, "text-anchor": anchor }, short(v), true));
    }
  }

  function drawChart(chart) {
    const { box, svg, curve } = chart;
    const lines = prepare(curve), log = isLog(chart);
    const width = svg.clientWidth || 360;
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    chart.lines = [];
    const yRange = valueRange(lines, curve.references, log);
    if (!yRange) {
      svg.append(element("text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, log ? "nothing positive to draw" : "nothing to draw", true));
      return;
    }
    const starts = lines.map((l) => l.steps[0]), ends = lines.map((l) => l.steps[l.steps.length - 1]);
    let [left, right] = [Math.min(...starts), Math.max(...ends)];
    if (left === right) { left -= 1; right += 1; }
    const x = (v) => MARGIN.left + ((v - left) / (right - left)) * (width - MARGIN.left - MARGIN.right);
    const y = (v) => HEIGHT - MARGIN.bottom - ((v - yRange[0]) / (yRange[1] - yRange[0])) * (HEIGHT - MARGIN.bottom - MARGIN.top);
    const place = (v) => (v === null || (log && v <= 0) ? null : Math.max(-1e5, Math.min(1e5, y(log ? Math.log10(v) : v))));
    drawAxes(svg, width, x, y, { x: [left, right], y: yRange }, log);
    const clip = element("clipPath", { id: `clip${chart.index}` }, "", true);
    clip.append(element("rect", { x: MARGIN.left, y: 0, width: width - MARGIN.left - MARGIN.right + 2, height: HEIGHT - MARGIN.bottom + 1 }, "", true));
    const plot = element("g", { "clip-path": `url(#clip${chart.index})` }, "", true);
    svg.append(clip, plot);
    drawReferences(svg, curve.references, width, place);
    for (const line of lines) drawLine(plot, line, line.steps.map(x), place);
    drawClipped(svg, lines, x, place);
    Object.assign(chart, { lines, x, place, width, range: [left, right] });
    box.querySelector(".readout").hidden = true;
  }

  function drawReferences(svg, references, width, place) {
    for (const { value, label } of references) {
      const y = place(value);
      if (y === null || y < 0 || y > HEIGHT - MARGIN.bottom) continue;
      svg.append(element("line", { class: "reference", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }, "", true));
      svg.append(element("text", { class: "halo", x: width - MARGIN.right - 2, y: y > 16 ? y - 4 : y + 12, "text-anchor": "end" }, label, true));
    }
  }

  // Marks at the edge where a line leaves the picture, one for a few pixels.
  function drawClipped(svg, lines, x, place) {
    const bottom = HEIGHT - MARGIN.bottom, seen = new Set();
    for (const line of lines) {
      line.mean.forEach((v, i) => {
        const y = place(v), at = x(line.steps[i]);
        if (y === null || (y >= 0 && y <= bottom)) return;
        const up = y < 0, key = `${line.group} ${up} ${Math.round(at / 7)}`;
        if (seen.has(key)) return;
        seen.add(key);
        const d = up ? `M${at - 4} 7L${at + 4} 7L${at} 1Z` : `M${at - 4} ${bottom - 7}L${at + 4} ${bottom - 7}L${at} ${bottom - 1}Z`;
        svg.append(element("path", { class: `clipped ${payload.looks[line.group]}`, d }, "", true));
      });
    }
  }

  function drawLine(plot, line, xs, place) {
    const colour = payload.looks[line.group];
    if (line.seeds > 1) {
      const keep = xs.map((_, i) => i).filter((i) => place(line.low[i]) !== null && place(line.high[i]) !== null);
      const up = pathOf(keep.map((i) => xs[i]), keep.map((i) => place(line.high[i])));
      const back = [...keep].reverse();
      const down = pathOf(back.map((i) => xs[i]), back.map((i) => place(line.low[i])));
      if (up) plot.append(element("path", { class: `band ${colour}`, d: `${up}${down.replace("M", "L")}Z` }, "", true));
    }
    plot.append(element("path", { class: `line ${colour} ${line.kind === "eval" ? "eval" : "train"}`, d: pathOf(xs, line.mean.map(place)) }, "", true));
    const drawn = line.mean.map((v, i) => i).filter((i) => place(line.mean[i]) !== null);
    if (drawn.length === 1 || (line.kind === "eval" && drawn.length <= POINTS)) {
      for (const i of drawn) plot.append(element("circle", { class: colour, r: drawn.length === 1 ? 3.5 : 2.6, cx: xs[i], cy: place(line.mean[i]) }, "", true));
    }
  }

  function nearest(steps, step) {
    let best = 0;
    steps.forEach((s, i) => { if (Math.abs(s - step) < Math.abs(steps[best] - step)) best = i; });
    return best;
  }

  function hover(chart, event) {
    const { svg, lines, x, range, width } = chart;
    svg.querySelectorAll(".hover").forEach((node) => node.remove());
    const readout = chart.box.querySelector(".readout");
    readout.hidden = true;
    if (!event || !lines.length) return;
    const at = event.clientX - svg.getBoundingClientRect().left;
    const wanted = range[0] + ((at - MARGIN.left) / (width - MARGIN.left - MARGIN.right)) * (range[1] - range[0]);
    const closest = lines.map((line) => line.steps[nearest(line.steps, wanted)]);
    const step = closest[nearest(closest, wanted)];
    svg.append(element("line", { class: "cursor hover", x1: x(step), x2: x(step), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }, "", true));
    readout.replaceChildren(element("div", {}, `step ${step.toLocaleString("en")}`));
    for (const line of lines) readout.append(readoutRow(chart, line, step));
    readout.hidden = false;
    const bounds = chart.box.getBoundingClientRect();
    const toTheLeft = bounds.left + bounds.width / 2 > window.innerWidth * 0.55;
    readout.style.left = toTheLeft ? "auto" : "0";
    readout.style.right = toTheLeft ? "0" : "auto";
  }

  function readoutRow(chart, line, step) {
    const { x, place } = chart, i = nearest(line.steps, step), colour = payload.looks[line.group];
    if (place(line.mean[i]) !== null) {
      chart.svg.append(element("circle", { class: `${colour} hover`, r: 4, cx: x(line.steps[i]), cy: place(line.mean[i]) }, "", true));
    }
    const row = element("div");
    const kinds = new Set(chart.curve.lines.map((l) => l.kind)).size > 1;
    const at = line.steps[i] === step ? "" : `step ${line.steps[i].toLocaleString("en")}`;
    const name = [payload.groups.length > 1 ? payload.groups[line.group] : "", kinds ? line.kind : "", at].filter(Boolean).join(" · ");
    const value = element("b", {}, number(line.mean[i]));
    if (line.seeds > 1) value.append(element("small", {}, `${number(line.low[i])} to ${number(line.high[i])}`));
    row.append(element("i", { class: `swatch ${colour}` }), element("span", {}, name), value);
    return row;
  }

  function setUpCurves() {
    const place = byId("charts");
    if (!place) return;
    const charts = payload.curves.map(makeChart);
    const drawAll = () => charts.filter((chart) => chart.box.closest("details").open).forEach(drawChart);
    for (const id of ["smoothing", "log", "outliers"]) byId(id).addEventListener("input", drawAll);
    place.querySelectorAll("details").forEach((part) => part.addEventListener("toggle", drawAll));
    setUpLegend(drawAll);
    new ResizeObserver(drawAll).observe(place);
  }

  function makeChart(curve, index) {
    const box = element("div", { class: "chart" });
    const svg = element("svg", { height: HEIGHT, role: "img", "aria-label": `${curve.metric} over training steps` }, "", true);
    const title = element("h3", {}, curve.metric), own = element("label", { class: "log" }), log = element("input", { type: "checkbox" });
    if (curve.unit) title.append(element("small", {}, ` ${curve.unit}`));
    own.append(log, " log");
    box.append(own, title, element("p", {}, curve.about), svg, element("div", { class: "readout", hidden: "" }));
    document.querySelector(`[data-group="${curve.section}"]`).append(box);
    const chart = { box, svg, curve, index, log, lines: [] };
    log.addEventListener("input", () => drawChart(chart));
    svg.addEventListener("pointermove", (event) => hover(chart, event));
    svg.addEventListener("pointerleave", () => hover(chart, null));
    return chart;
  }

  function setUpLegend(drawAll) {
    if (payload.groups.length < 2) return;
    payload.groups.forEach((name, group) => {
      const button = element("button", { type: "button", "aria-pressed": "true" });
      button.append(element("i", { class: `swatch ${payload.looks[group]}` }), element("span", {}, name));
      button.addEventListener("click", () => {
        if (!hidden.delete(group)) hidden.add(group);
        button.setAttribute("aria-pressed", String(!hidden.has(group)));
        drawAll();
      });
      byId("legend").append(button);
    });
  }

  // Tables: numbers by value before text by alphabet; empty and not-a-number cells always last.
  function sortable(table) {
    const headers = [...table.querySelectorAll("thead th")];
    headers.forEach((header, column) => {
      const cells = [...table.tBodies[0].rows].map((row) => row.cells[column]);
      const numeric = cells.some((cell) => cell.classList.contains("number"));
      for (const cell of [header, ...cells.filter((cell) => cell.classList.contains("empty"))]) cell.classList.toggle("number", numeric);
      header.querySelector("button").addEventListener("click", () => {
        const sign = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        headers.forEach((other) => other.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => compare(a.cells[column], b.cells[column], sign));
        table.tBodies[0].append(...rows);
      });
    });
  }

  function compare(a, b, sign) {
    const key = (cell) => {
      if (cell.classList.contains("empty")) return null;
      if (!("value" in cell.dataset)) return cell.textContent;
      const value = Number(cell.dataset.value.replace("inf", "Infinity"));
      return Number.isNaN(value) ? null : value;
    };
    const [p, q] = [key(a), key(b)];
    if (p === null || q === null) return (p === null) - (q === null);
    if (typeof p !== typeof q) return typeof p === "number" ? -1 : 1;
    return sign * (typeof p === "number" ? (p > q) - (p < q) : p.localeCompare(q, "en", { numeric: true }));
  }

  // Latent manifold: the decoded tile under the pointer, enlarged.
  function setUpManifold(box) {
    const { rows, columns, z } = payload.manifolds[box.dataset.manifold];
    const image = box.querySelector("img"), tile = box.querySelector(".tile"), text = box.querySelector("output");
    const show = (event) => {
      const bounds = image.getBoundingClientRect();
      const cell = (at, count) => Math.max(0, Math.min(count - 1, Math.floor(at * count)));
      const column = cell((event.clientX - bounds.left) / bounds.width, columns);
      const row = cell((event.clientY - bounds.top) / bounds.height, rows);
      tile.style.backgroundImage = `url("${image.src}")`;
      tile.style.backgroundSize = `${columns * 100}% ${rows * 100}%`;
      tile.style.backgroundPosition = `${(column / Math.max(1, columns - 1)) * 100}% ${(row / Math.max(1, rows - 1)) * 100}%`;
      const at = z[row * columns + column];
      text.textContent = at ? `z = (${at.map((v) => v.toFixed(2)).join(", ")})` : `row ${row + 1}, column ${column + 1}`;
    };
    image.addEventListener("pointermove", show);
    image.addEventListener("pointerdown", show);
  }

  // Copies the text beside the button: pages that are opened from disk have no other clipboard than the selection's.
  function setUpCopy(button) {
    button.addEventListener("click", () => {
      window.getSelection().selectAllChildren(button.previousElementSibling);
      button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  setUpSamples();
  setUpCurves();
  document.querySelectorAll(".copy").forEach(setUpCopy);
  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll(".manifold").forEach(setUpManifold);
  if (byId("only")) byId("only").addEventListener("input", (event) => document.querySelector(".config").classList.toggle("only", event.target.checked));
})();
