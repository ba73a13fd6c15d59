/** What a demo is made of: plots, sliders, choices, buttons, numbers, its claim as measured, and what moves. */

import { Plot } from "./plot.js";

const STILL = window.matchMedia("(prefers-reduced-motion: reduce)");
const CALM = 1000; // ms between pictures of what moves by itself, where the reader asks for less motion
const BUDGET = 8; // ms of work in a frame

export class Stage {
  /** @param {HTMLElement} place the figure; `draw` is set by the demo and called once a frame after `update` */
  constructor(place) {
    this.place = place;
    this.body = place.querySelector(".demo-stage");
    this.body.replaceChildren();
    this.measuredAt = place.querySelector(".demo-claim output");
    [this.plots, this.controls, this.actions] = ["plots", "controls", "actions"].map((name) => {
      const part = this.body.appendChild(document.createElement("div"));
      part.className = `demo-${name}`;
      return part;
    });
    this.draw = () => {};
    this.all = [];
    this.watch();
  }

  /** Draws again when the size or the theme changes. */
  watch() {
    const changed = () => {
      this.fitted = false;
      this.update();
    };
    new ResizeObserver(changed).observe(this.plots);
    new MutationObserver(changed).observe(document.body, { attributeFilter: ["data-theme"] });
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
    this.visible = true;
    new IntersectionObserver(([entry]) => { this.visible = entry.isIntersecting; }).observe(this.place);
  }

  /** Asks for a picture in the next frame. */
  update() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      if (!this.fitted) for (const plot of this.all) plot.fit();
      this.fitted = true;
      for (const plot of this.all) plot.begin();
      this.draw();
    });
  }

  plot(options) {
    this.all.push(new Plot(this.plots, options));
    return this.all.at(-1);
  }

  /**
   * A slider with its name and value.
   * @param {object} options label; min, max, step or values, a list; value at the start; format: number => text;
   *   change: called after the reader moved it
   */
  slider({ label, min = 0, max, step = 1, values, value, format = (v) => `${v}`, change = () => {} }) {
    const box = labelled(this.controls, label), shown = box.appendChild(document.createElement("output"));
    const input = box.appendChild(document.createElement("input"));
    Object.assign(input, { type: "range", min, max: values ? values.length - 1 : max, step });
    shown.setAttribute("aria-live", "off");
    const control = {
      input,
      get value() { return values ? values[input.valueAsNumber] : input.valueAsNumber; },
      set value(to) {
        input.valueAsNumber = values ? values.indexOf(to) : to;
        show();
      },
    };
    const show = () => {
      shown.textContent = format(control.value).replace("-", "−");
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    control.value = value;
    input.addEventListener("input", () => {
      show();
      change(control.value);
      this.update();
    });
    return control;
  }

  /** A choice among names: {value: text}. */
  choice({ label, options, value, change = () => {} }) {
    const select = labelled(this.controls, label).appendChild(document.createElement("select"));
    for (const [name, text] of Object.entries(options)) select.add(new Option(text, name, false, name === value));
    select.addEventListener("change", () => {
      change(select.value);
      this.update();
    });
    return select;
  }

  button(label, press) {
    const button = this.actions.appendChild(document.createElement("button"));
    Object.assign(button, { type: "button", textContent: label });
    button.addEventListener("click", () => {
      press();
      this.update();
    });
    return button;
  }

  /** A table of {key: name}, perhaps with the colours of lines; returns the function that shows {key: text} in it. */
  numbers(names, colours = {}) {
    const table = this.body.appendChild(document.createElement("table")), cells = {};
    table.className = "demo-numbers";
    for (const [key, name] of Object.entries(names)) {
      const row = table.insertRow(), head = row.appendChild(document.createElement("th"));
      head.scope = "row";
      const title = head.appendChild(document.createElement("span"));
      title.textContent = name;
      if (colours[key]) {
        title.className = "demo-swatch";
        title.style.setProperty("--demo-own", `var(--demo-${colours[key]})`);
      }
      cells[key] = row.insertCell();
      cells[key].dataset.key = key;
    }
    return (texts) => {
      for (const [key, text] of Object.entries(texts)) write(cells[key], text.replaceAll("-", "−"));
    };
  }

  /** Says what was measured of the claim, and whether it holds: null where it may yet; left out, it says no more. */
  measured(text, holds) {
    const verdict = { true: "; holds", false: "; does not hold", null: "; not yet" }[holds] ?? "";
    write(this.measuredAt, `Measured: ${text.replaceAll("-", "−")}${verdict}.`);
    this.measuredAt.dataset.holds = `${holds ?? ""}`;
  }

  /**
   * A button that starts and stops what moves. `work(until)` works up to that time of `performance.now()` or less, and
   * returns whether there is more to do. It rests while the demo is out of sight.
   */
  player(label, work) {
    let running = false, drawn = 0;
    const button = this.button(label, () => (running ? player.stop() : player.start()));
    const frame = (now) => {
      if (!running) return;
      if (this.visible && !work(performance.now() + BUDGET)) player.stop();
      if (this.visible && (!STILL.matches || !running || now - drawn > CALM)) {
        drawn = now;
        this.update();
      }
      requestAnimationFrame(frame);
    };
    const player = {
      get running() { return running; },
      start() {
        running = true;
        button.textContent = "Pause";
        requestAnimationFrame(frame);
      },
      stop() {
        running = false;
        button.textContent = label;
      },
    };
    return player;
  }
}

/** Gives an element its text where it has another one: the page is laid out again only where something changed. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function labelled(parent, text) {
  const label = parent.appendChild(document.createElement("label"));
  label.appendChild(document.createElement("span")).textContent = text;
  return label;
}
