// The photo with its masks on a canvas: zoomed, moved, lit up; a pen takes the pointer over while masks are drawn.

import { ink } from "./paint.js";

const CLOSEST = 40;
const FONT = "600 13px system-ui, sans-serif";

export class Stage {
  constructor(canvas, { zoomed = () => {}, over = () => {} } = {}) {
    Object.assign(this, { canvas, zoomed, over, picture: null, width: 1, height: 1, masks: [], lit: null });
    Object.assign(this, { opacity: 0.5, outline: true, names: true, pen: null, fitted: true, scale: 1, x: 0, y: 0 });
    this.pointers = new Map();
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave"]) {
      canvas.addEventListener(kind, (event) => this[kind](event));
    }
  }

  show(picture, width, height) {
    Object.assign(this, { picture, width, height, masks: [], lit: null });
    this.resize();
    this.fit();
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas.parentElement, dense = devicePixelRatio || 1;
    if (!clientWidth || !clientHeight) return;
    this.canvas.width = Math.round(clientWidth * dense);
    this.canvas.height = Math.round(clientHeight * dense);
    this.wide = clientWidth;
    this.high = clientHeight;
    if (this.fitted) this.fit();
    else this.place();
  }

  get least() {
    return Math.min(this.wide / this.width, this.high / this.height);
  }

  fit() {
    this.fitted = true;
    this.scale = this.least;
    this.x = (this.wide - this.width * this.scale) / 2;
    this.y = (this.high - this.height * this.scale) / 2;
    this.place();
  }

  zoom(factor, x = this.wide / 2, y = this.high / 2) {
    const scale = Math.min(Math.max(CLOSEST, this.least), Math.max(Math.min(this.least, 1), this.scale * factor));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = Math.abs(scale - this.least) < 1e-6;
    if (this.fitted) this.fit();
    else this.place();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.place();
  }

  // What is larger than the frame covers it, what is smaller stays inside.
  place() {
    const inside = (at, room, length) => Math.min(Math.max(at, Math.min(0, room - length)), Math.max(0, room - length));
    this.x = inside(this.x, this.wide, this.width * this.scale);
    this.y = inside(this.y, this.high, this.height * this.scale);
    Object.assign(this.canvas.dataset, { scale: this.scale, x: this.x, y: this.y });
    this.zoomed(this.scale);
    this.draw();
  }

  draw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.paint();
    });
  }

  paint() {
    const context = this.canvas.getContext("2d"), dense = this.canvas.width / this.wide;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.picture) return;
    context.setTransform(dense * this.scale, 0, 0, dense * this.scale, dense * this.x, dense * this.y);
    context.imageSmoothingEnabled = this.scale * dense < 3;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.picture, 0, 0, this.width, this.height);
    const lit = this.masks[this.lit];
    if (lit) {
      context.fillStyle = "rgb(0 0 0 / 0.45)";
      context.fillRect(0, 0, this.width, this.height);
      if (lit.layer) this.cutOut(context, lit.layer);
    }
    const shown = this.masks.filter((one) => (lit ? one === lit : one.on) && one.layer);
    for (const { layer } of shown) {
      const { left, top } = layer.box;
      context.globalAlpha = lit ? Math.max(0.25, this.opacity * 0.8) : this.opacity;
      context.drawImage(layer.fill, left, top);
      context.globalAlpha = 1;
      if (this.outline || lit) context.drawImage(layer.line, left, top);
    }
    context.setTransform(dense, 0, 0, dense, 0, 0);
    if (this.names && !this.pen) this.label(context, shown);
    this.pen?.paint?.(context, this);
  }

  // The photo itself where the mask is, over what was darkened.
  cutOut(context, { fill, box }) {
    const piece = Object.assign(document.createElement("canvas"), { width: box.width, height: box.height });
    const own = piece.getContext("2d");
    own.drawImage(fill, 0, 0);
    own.globalCompositeOperation = "source-in";
    own.drawImage(this.picture, -box.left, -box.top, this.width, this.height);
    context.drawImage(piece, box.left, box.top);
  }

  label(context, shown) {
    context.font = FONT;
    context.textBaseline = "middle";
    const taken = [];
    for (const { name, tone, layer } of shown) {
      const [left, top] = this.out(layer.box.left, layer.box.top);
      const wide = context.measureText(name).width + 16, high = 24;
      const x = Math.min(Math.max(4, left + (layer.box.width * this.scale - wide) / 2), this.wide - wide - 4);
      let y = top >= high + 8 ? top - high - 4 : Math.max(4, top + 4);
      while (taken.some((one) => Math.abs(one.y - y) < high + 2 && one.x < x + wide && x < one.x + one.wide)) y += high + 4;
      taken.push({ x, y, wide });
      context.beginPath();
      context.roundRect(x, y, wide, high, 7);
      context.fillStyle = tone;
      context.fill();
      context.strokeStyle = "#ffffff";
      context.lineWidth = 1.5;
      context.stroke();
      context.fillStyle = ink(tone);
      context.fillText(name, x + 8, y + high / 2 + 1);
    }
  }

  // Pixels of the photo ↔ points of the frame.
  out(x, y) {
    return [x * this.scale + this.x, y * this.scale + this.y];
  }

  into(x, y) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  where(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  wheel(event) {
    event.preventDefault();
    const step = event.deltaMode ? event.deltaY * 16 : event.deltaY;
    this.zoom(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.0016)), ...this.where(event));
  }

  pointerdown(event) {
    if (event.button > 1) return;
    this.canvas.setPointerCapture?.(event.pointerId);
    this.pointers.set(event.pointerId, this.where(event));
    this.drawing = Boolean(this.pen?.takes() && this.pointers.size === 1 && event.button === 0);
    if (this.drawing) this.pen.begin(this.into(...this.where(event)));
    else this.pen?.leave?.();
  }

  pointermove(event) {
    const [x, y] = this.where(event), before = this.pointers.get(event.pointerId);
    if (!before) {
      if (this.pen) this.pen.hover(this.into(x, y));
      else this.over(this.hit(...this.into(x, y)));
      return;
    }
    if (this.drawing) this.pen.move(this.into(x, y));
    else if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const apart = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]);
      this.zoom(apart([x, y]) / Math.max(1, apart(before)), (x + other[0]) / 2, (y + other[1]) / 2);
      this.pan((x - before[0]) / 2, (y - before[1]) / 2);
    } else this.pan(x - before[0], y - before[1]);
    this.pointers.set(event.pointerId, [x, y]);
  }

  pointerup(event) {
    this.pointers.delete(event.pointerId);
    if (this.drawing) this.pen.end();
    this.drawing = false;
  }

  pointercancel(event) {
    this.pointers.delete(event.pointerId);
    if (this.drawing) this.pen.leave();
    this.drawing = false;
  }

  pointerleave() {
    if (!this.pen) this.over(null);
  }

  // The topmost mask that is shown at a pixel.
  hit(x, y) {
    const [column, row] = [Math.floor(x), Math.floor(y)];
    if (column < 0 || row < 0 || column >= this.width || row >= this.height) return null;
    const found = this.masks.findLastIndex((one) => one.on && one.mask[row * this.width + column]);
    return found < 0 ? null : found;
  }
}
