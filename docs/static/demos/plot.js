/** A canvas in the coordinates of its data, in the colours of the page's theme, with points to drag on it. */

const MARGIN = { left: 36, right: 16, top: 8, bottom: 24 };

export class Plot {
  /**
   * @param {HTMLElement} parent where it goes
   * @param {object} options label: what it shows, for readers who do not see it; x, y: [low, high] of the axes;
   *   aspect: width over height of the whole; bare: without axes
   */
  constructor(parent, { label, x, y, aspect = 1.4, bare = false, xlabel = "", ylabel = "" }) {
    Object.assign(this, { x, y, aspect, xlabel, ylabel, bare, handles: [], colours: {} });
    this.margin = bare ? { left: 1, right: 1, top: 1, bottom: 1 } : MARGIN;
    this.box = parent.appendChild(document.createElement("div"));
    this.box.className = "demo-plot";
    this.canvas = this.box.appendChild(document.createElement("canvas"));
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", label);
    this.context = this.canvas.getContext("2d");
  }

  /** Fits the canvas to its width on the page and to the pixels of the screen, and forgets the theme's colours. */
  fit() {
    const width = this.box.clientWidth, height = Math.round(width / this.aspect), ratio = window.devicePixelRatio || 1;
    Object.assign(this, { width, height });
    resize(this.canvas, Math.round(width * ratio), Math.round(height * ratio));
    Object.assign(this, { ratio, style: getComputedStyle(this.box), colours: {}, keptFor: null });
  }

  colour(name) {
    return (this.colours[name] ??= this.style.getPropertyValue(`--demo-${name}`).trim() || name);
  }

  px(x) {
    const { left, right } = this.margin;
    return left + (x - this.x[0]) / (this.x[1] - this.x[0]) * (this.width - left - right);
  }

  py(y) {
    const { top, bottom } = this.margin;
    return this.height - bottom - (y - this.y[0]) / (this.y[1] - this.y[0]) * (this.height - top - bottom);
  }

  /** The data coordinates of a pointer's event. */
  at(event) {
    const { left, right, top, bottom } = this.margin, box = this.canvas.getBoundingClientRect();
    const u = (event.clientX - box.left - left) / (this.width - left - right);
    const v = (this.height - bottom - event.clientY + box.top) / (this.height - top - bottom);
    return [this.x[0] + u * (this.x[1] - this.x[0]), this.y[0] + v * (this.y[1] - this.y[0])];
  }

  /** Empties it, draws the axes, and clips what follows to their rectangle; `fit` comes first, once for each size. */
  begin() {
    const { context: c, margin: m } = this;
    c.restore(); // the clip of the picture before
    c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    c.clearRect(0, 0, this.width, this.height);
    if (!this.bare) this.axes();
    c.save();
    c.beginPath();
    c.rect(m.left, m.top, this.width - m.left - m.right, this.height - m.top - m.bottom);
    c.clip();
    for (const handle of this.handles) handle.place();
  }

  axes() {
    const c = this.context, [left, bottom] = [this.px(this.x[0]), this.py(this.y[0])];
    c.font = "11px system-ui, sans-serif";
    c.lineWidth = 1;
    for (const tick of ticks(this.x, Math.max(3, this.width / 80))) {
      this.rule(this.px(tick), bottom, this.px(tick), this.py(this.y[1]));
      this.write(short(tick), this.px(tick), bottom + 14, "center");
    }
    for (const tick of ticks(this.y, Math.max(3, this.height / 60))) {
      this.rule(left, this.py(tick), this.px(this.x[1]), this.py(tick));
      this.write(short(tick), left - 5, this.py(tick) + 4, "right");
    }
    if (this.xlabel) this.write(this.xlabel, this.width - 10, bottom - 6, "right");
    if (this.ylabel) this.write(this.ylabel, left + 6, 20, "left");
  }

  rule(x1, y1, x2, y2) {
    const c = this.context;
    c.strokeStyle = this.colour("grid");
    c.beginPath();
    c.moveTo(x1, y1);
    c.lineTo(x2, y2);
    c.stroke();
  }

  /** Text at pixels. */
  write(text, x, y, align = "left", colour = "muted") {
    const c = this.context;
    c.font = "11px system-ui, sans-serif";
    c.fillStyle = this.colour(colour);
    c.textAlign = align;
    c.fillText(text, x, y);
  }

  line(xs, ys, colour, { width = 2, dash = [], alpha = 1 } = {}) {
    const c = this.context;
    c.beginPath();
    for (let i = 0; i < xs.length; i++) c.lineTo(this.px(xs[i]), this.py(ys[i]));
    Object.assign(c, { strokeStyle: this.colour(colour), lineWidth: width, globalAlpha: alpha, lineJoin: "round" });
    c.setLineDash(dash);
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 1;
  }

  /** The area between two curves. */
  area(xs, low, high, colour, alpha = 0.25) {
    const c = this.context;
    c.beginPath();
    for (let i = 0; i < xs.length; i++) c.lineTo(this.px(xs[i]), this.py(high[i]));
    for (let i = xs.length - 1; i >= 0; i--) c.lineTo(this.px(xs[i]), this.py(low[i]));
    Object.assign(c, { fillStyle: this.colour(colour), globalAlpha: alpha });
    c.fill();
    c.globalAlpha = 1;
  }

  /** Points [x0, y0, x1, y1, ...]. */
  dots(points, colour, radius = 2, alpha = 0.8) {
    const c = this.context;
    c.beginPath();
    for (let i = 0; i < points.length; i += 2) {
      const x = this.px(points[i]), y = this.py(points[i + 1]);
      c.moveTo(x + radius, y);
      c.arc(x, y, radius, 0, 2 * Math.PI);
    }
    Object.assign(c, { fillStyle: this.colour(colour), globalAlpha: alpha });
    c.fill();
    c.globalAlpha = 1;
  }

  /** Arrows from [x, y, ...] by [dx, dy, ...], in one stroke. */
  arrows(points, by, colour, { width = 1, alpha = 1, head = 4 } = {}) {
    const c = this.context;
    c.beginPath();
    for (let i = 0; i < points.length; i += 2) {
      const x = this.px(points[i]), y = this.py(points[i + 1]);
      const u = this.px(points[i] + by[i]), v = this.py(points[i + 1] + by[i + 1]), long = Math.hypot(u - x, v - y);
      if (long < 1) continue;
      const [a, b] = [(u - x) / long, (v - y) / long], size = Math.min(head, long / 2);
      c.moveTo(x, y);
      c.lineTo(u, v);
      c.lineTo(u - size * (a - 0.5 * b), v - size * (b + 0.5 * a));
      c.moveTo(u, v);
      c.lineTo(u - size * (a + 0.5 * b), v - size * (b - 0.5 * a));
    }
    Object.assign(c, { strokeStyle: this.colour(colour), lineWidth: width, globalAlpha: alpha });
    c.stroke();
    c.globalAlpha = 1;
  }

  /** What `draw` draws, kept as a picture until `key`, the size or the theme changes. */
  kept(key, draw) {
    if (this.keptFor !== key) {
      const front = this.context;
      this.layer ??= document.createElement("canvas");
      Object.assign(this.layer, { width: this.canvas.width, height: this.canvas.height });
      this.context = this.layer.getContext("2d");
      this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      draw();
      Object.assign(this, { context: front, keptFor: key });
    }
    this.context.drawImage(this.layer, 0, 0, this.width, this.height);
  }

  /** A grid of colours over the whole rectangle: `paint(i, rgba, at)` sets the four numbers of cell i, from below. */
  field(columns, rows, paint, smooth = true) {
    this.cells ??= document.createElement("canvas");
    resize(this.cells, columns, rows);
    const cells = this.cells.getContext("2d"), image = cells.createImageData(columns, rows);
    for (let i = 0; i < columns * rows; i++) {
      paint(i, image.data, 4 * ((rows - 1 - Math.floor(i / columns)) * columns + i % columns));
    }
    cells.putImageData(image, 0, 0);
    this.context.imageSmoothingEnabled = smooth;
    const [x, y] = [this.px(this.x[0]), this.py(this.y[1])];
    this.context.drawImage(this.cells, x, y, this.px(this.x[1]) - x, this.py(this.y[0]) - y);
  }

  /** A point that pointers and arrow keys move; see `Handle`. */
  handle(options) {
    this.handles.push(new Handle(this, options));
    return this.handles.at(-1);
  }
}

/** A point on a plot, an element of its own, so that it has the focus, a name and a value. */
class Handle {
  /**
   * @param {Plot} plot on which it is
   * @param {object} options label: its name; get: () => [x, y]; set: (x, y) => void, which keeps them in range;
   *   step: [dx, dy] of an arrow key; text: () => its value in words; colour: a name of the theme's
   */
  constructor(plot, { label, get, set, step, text, colour }) {
    Object.assign(this, { plot, get, set, step, text });
    this.element = plot.box.appendChild(document.createElement("div"));
    Object.assign(this.element, { className: "demo-handle", tabIndex: 0 });
    this.element.setAttribute("role", "slider");
    this.element.setAttribute("aria-label", label);
    this.element.style.setProperty("--demo-own", `var(--demo-${colour})`);
    this.element.addEventListener("pointerdown", (event) => this.element.setPointerCapture(event.pointerId));
    this.element.addEventListener("pointermove", (event) => {
      if (this.element.hasPointerCapture(event.pointerId)) this.set(...plot.at(event));
    });
    this.element.addEventListener("keydown", (event) => this.press(event));
  }

  press(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way) return;
    event.preventDefault();
    event.stopPropagation();
    const [x, y] = this.get(), much = event.shiftKey ? 5 : 1;
    this.set(x + much * way[0] * this.step[0], y + much * way[1] * this.step[1]);
  }

  place() {
    const [x, y] = this.get(), { plot } = this, inside = (v, [low, high]) => Math.min(Math.max(v, low), high);
    const at = `${x} ${y} ${plot.x} ${plot.y} ${plot.width}`;
    if (at === this.placed) return;
    this.placed = at;
    this.element.style.left = `${plot.px(inside(x, plot.x))}px`;
    this.element.style.top = `${plot.py(inside(y, plot.y))}px`;
    this.element.setAttribute("aria-valuenow", x.toFixed(3));
    this.element.setAttribute("aria-valuemin", plot.x[0]);
    this.element.setAttribute("aria-valuemax", plot.x[1]);
    this.element.setAttribute("aria-valuetext", this.text());
  }
}

/** About n round numbers between low and high. */
export function ticks([low, high], n) {
  const rough = (high - low) / n, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step);
  return found;
}

/** Gives a canvas its size, which empties it, where it has another one. */
function resize(canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
}

/** A number as a tick has it, with a true minus. */
function short(value) {
  return `${+value.toPrecision(4)}`.replace("-", "−");
}
