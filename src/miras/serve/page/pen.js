// The pen that draws masks on the stage: a brush and a polygon, by pointer or by arrow keys, each stroke undone singly.

import { decode, encode } from "./rle.js";
import { fillPolygon, layer, stamp } from "./paint.js";

const STROKES = 40;

export class Pen {
  constructor(stage, { changed = () => {} } = {}) {
    Object.assign(this, { stage, changed, tool: "brush", value: 1, size: 16, points: [], strokes: [], at: null, last: null });
    this.at = [stage.width / 2, stage.height / 2];
    this.one = null;
  }

  // Which of the stage's masks is drawn on.
  take(one) {
    this.one = one;
    this.points = [];
    this.stage.draw();
  }

  takes() {
    return this.one !== null && this.tool !== "move";
  }

  begin(point) {
    this.at = this.last = point;
    if (this.tool === "brush") this.remember();
    this.move(point);
  }

  move(point) {
    this.at = point;
    if (this.tool === "brush" && this.last) {
      stamp(this.one.mask, this.stage.width, this.stage.height, this.last, point, this.size / 2, this.value);
      this.last = point;
      this.redraw();
    }
    this.stage.draw();
  }

  hover(point) {
    this.at = point;
    this.stage.draw();
  }

  end() {
    if (this.last && this.tool === "polygon") this.corner(this.at);
    else if (this.last) this.changed();
    this.last = null;
  }

  // A second finger came: what was begun was no stroke.
  leave() {
    if (this.last && this.tool === "brush") this.back();
    this.last = null;
  }

  // A corner; one near the first closes the polygon.
  corner(point) {
    const near = this.points.length > 2 && Math.hypot(point[0] - this.points[0][0], point[1] - this.points[0][1]) * this.stage.scale < 12;
    if (near) {
      this.close();
      return;
    }
    this.points.push(point);
    this.changed();
    this.stage.draw();
  }

  close() {
    if (this.points.length < 3) return;
    this.remember();
    fillPolygon(this.one.mask, this.stage.width, this.stage.height, this.points, this.value);
    this.points = [];
    this.redraw();
    this.changed();
  }

  press(key, far) {
    const step = (far ? 10 : 1) * Math.max(1, 4 / this.stage.scale);
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (key in moves) {
      const inside = (value, most) => Math.min(Math.max(value, 0), most - 0.5);
      this.at = [inside(this.at[0] + moves[key][0], this.stage.width), inside(this.at[1] + moves[key][1], this.stage.height)];
      this.stage.draw();
    } else if (key === " " && this.takes()) {
      this.begin(this.at);
      this.end();
    } else if (key === "Enter" && this.tool === "polygon") this.close();
    else return false;
    return true;
  }

  remember() {
    const { width, height } = this.stage;
    this.strokes.push({ one: this.one, rle: encode(this.one.mask, height, width), touched: this.one.touched });
    this.strokes.splice(0, this.strokes.length - STROKES);
    this.one.touched = true;
  }

  // Take the last corner or stroke back.
  back() {
    if (this.points.pop()) {
      this.changed();
      this.stage.draw();
      return;
    }
    const stroke = this.strokes.pop();
    if (!stroke) return;
    stroke.one.mask = decode(stroke.rle);
    stroke.one.touched = stroke.touched;
    this.redraw(stroke.one);
    this.changed();
  }

  redraw(one = this.one) {
    one.layer = layer(one.mask, this.stage.width, this.stage.height, one.tone);
    this.stage.draw();
  }

  paint(context, stage) {
    const ring = (shape) => {
      for (const [width, color] of [[4, "#000000"], [2, "#ffffff"]]) {
        context.beginPath();
        shape();
        context.lineWidth = width;
        context.strokeStyle = color;
        context.stroke();
      }
    };
    const [x, y] = stage.out(...this.at);
    if (this.points.length) {
      ring(() => [...this.points, this.at].forEach((point) => context.lineTo(...stage.out(...point))));
      for (const point of this.points) {
        const [cornerX, cornerY] = stage.out(...point);
        ring(() => context.arc(cornerX, cornerY, 4, 0, 7));
      }
    }
    if (!this.takes()) return;
    if (this.tool === "brush") ring(() => context.arc(x, y, Math.max(1, (this.size / 2) * stage.scale), 0, 7));
    else {
      ring(() => {
        context.moveTo(x - 8, y);
        context.lineTo(x + 8, y);
        context.moveTo(x, y - 8);
        context.lineTo(x, y + 8);
      });
    }
  }
}
