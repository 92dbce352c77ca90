// Masks as layers to draw: the colour of each, where its outline runs, and the box it needs.

// Okabe and Ito's colours, which people with any kind of colour blindness tell apart; as in miras.pages.draw.
export const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442"];

export const color = (index) => PALETTE[index % PALETTE.length];
export const ink = (tone) => (light(tone) > 100 ? "#000000" : "#ffffff");

const parts = (tone) => [1, 3, 5].map((at) => parseInt(tone.slice(at, at + 2), 16));
const light = (tone) => parts(tone).reduce((sum, part, index) => sum + part * [0.299, 0.587, 0.114][index], 0);

export function box(mask, width, height) {
  let left = width, top = height, right = 0, bottom = 0;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (!mask[at]) continue;
      if (x < left) left = x;
      if (x >= right) right = x + 1;
      if (y < top) top = y;
      bottom = y + 1;
    }
  }
  return right ? { left, top, width: right - left, height: bottom - top } : null;
}

export const area = (mask) => mask.reduce((sum, one) => sum + one, 0);

// { fill, line, box }: two canvases over the mask's box; null for an empty mask.
export function layer(mask, width, height, tone) {
  const around = box(mask, width, height);
  if (!around) return null;
  const { left, top, width: wide, height: high } = around;
  const near = distances(mask, width, around);
  const thick = Math.max(1, Math.round(Math.max(width, height) / 500));
  const [red, green, blue] = parts(tone);
  const fill = new ImageData(wide, high), line = new ImageData(wide, high);
  const [flat, edge] = [fill, line].map((data) => new Uint32Array(data.data.buffer));
  const opaque = (r, g, b) => new Uint32Array(new Uint8Array([r, g, b, 255]).buffer)[0];
  const [own, white, dark] = [opaque(red, green, blue), opaque(255, 255, 255), opaque(0.7 * red, 0.7 * green, 0.7 * blue)];
  for (let y = 0, at = 0; y < high; y++) {
    for (let x = 0; x < wide; x++, at++) {
      if (!mask[(top + y) * width + left + x]) continue;
      flat[at] = own;
      // a light and a dark line side by side: one of them stands out whatever the photo shows there
      const deep = near[(y + 1) * (wide + 2) + x + 1];
      if (deep <= thick) edge[at] = white;
      else if (deep <= 2 * thick) edge[at] = dark;
    }
  }
  return { fill: canvasOf(fill), line: canvasOf(line), box: around };
}

// How many pixels inside the mask each pixel of its box lies, with a rim of 0 around, in a king's steps.
function distances(mask, width, { left, top, width: wide, height: high }) {
  const across = wide + 2, near = new Uint16Array(across * (high + 2));
  for (let y = 1; y <= high; y++) {
    for (let x = 1; x <= wide; x++) {
      if (!mask[(top + y - 1) * width + left + x - 1]) continue;
      const at = y * across + x;
      near[at] = 1 + Math.min(near[at - 1], near[at - across], near[at - across - 1], near[at - across + 1]);
    }
  }
  for (let y = high; y >= 1; y--) {
    for (let x = wide; x >= 1; x--) {
      const at = y * across + x;
      if (near[at]) {
        near[at] = Math.min(near[at], 1 + Math.min(near[at + 1], near[at + across], near[at + across - 1], near[at + across + 1]));
      }
    }
  }
  return near;
}

function canvasOf(data) {
  const canvas = Object.assign(document.createElement("canvas"), { width: data.width, height: data.height });
  canvas.getContext("2d").putImageData(data, 0, 0);
  return canvas;
}

// Pixels whose middle lies within `radius` of the segment between two points get `value`.
export function stamp(mask, width, height, [x0, y0], [x1, y1], radius, value) {
  const [dx, dy] = [x1 - x0, y1 - y0], length = dx * dx + dy * dy;
  const from = (low, high, most) => [Math.max(0, Math.floor(low - radius)), Math.min(most, Math.ceil(high + radius) + 1)];
  const [left, right] = from(Math.min(x0, x1), Math.max(x0, x1), width);
  const [top, bottom] = from(Math.min(y0, y1), Math.max(y0, y1), height);
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
      const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
      if ((px - along * dx) ** 2 + (py - along * dy) ** 2 <= radius * radius) mask[y * width + x] = value;
    }
  }
}

// Pixels whose middle lies inside the polygon, by the even-odd rule, get `value`.
export function fillPolygon(mask, width, height, points, value) {
  for (let y = 0; y < height; y++) {
    const middle = y + 0.5, crossings = [];
    points.forEach(([x0, y0], index) => {
      const [x1, y1] = points[(index + 1) % points.length];
      if (y0 <= middle !== y1 <= middle) crossings.push(x0 + ((middle - y0) / (y1 - y0)) * (x1 - x0));
    });
    crossings.sort((a, b) => a - b);
    for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
      const begin = Math.max(0, Math.ceil(crossings[pair] - 0.5)), end = Math.min(width, Math.ceil(crossings[pair + 1] - 0.5));
      if (end > begin) mask.fill(value, y * width + begin, y * width + end);
    }
  }
}
