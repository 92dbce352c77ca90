// COCO's compressed run lengths, read and written. A mask here is row by row, one byte a pixel, 0 or 1.

export function decode({ size: [height, width], counts }) {
  const columns = new Uint8Array(width * height);
  const lengths = [];
  for (let at = 0; at < counts.length; ) {
    let value = 0, shift = 0, letter;
    do {
      letter = counts.charCodeAt(at++) - 48;
      if (!(letter >= 0 && letter < 64)) throw new Error("a mask from the server could not be read");
      value |= (letter & 31) << shift;
      shift += 5;
    } while (letter & 32);
    if (letter & 16 && shift < 32) value |= -1 << shift;
    if (lengths.length > 2) value += lengths[lengths.length - 2];
    lengths.push(value);
  }
  let place = 0;
  lengths.forEach((length, index) => {
    if (index % 2) columns.fill(1, place, place + length);
    place += length;
  });
  if (place !== columns.length) throw new Error("a mask from the server does not fill its photo");
  return turned(columns, width, height);
}

export function encode(mask, height, width) {
  const columns = turned(mask, height, width);
  const lengths = [];
  let inside = 0, since = 0;
  for (let place = 0; place <= columns.length; place++) {
    if (place === columns.length || columns[place] !== inside) {
      lengths.push(place - since);
      since = place;
      inside = 1 - inside;
    }
  }
  let counts = "";
  lengths.forEach((length, index) => {
    let value = index > 2 ? length - lengths[index - 2] : length;
    for (let more = true; more; ) {
      let letter = value & 31;
      value >>= 5;
      more = letter & 16 ? value !== -1 : value !== 0;
      if (more) letter |= 32;
      counts += String.fromCharCode(letter + 48);
    }
  });
  return { size: [height, width], counts };
}

// Rows of `across` pixels, `down` of them being columns of the result: row by row ↔ column by column.
function turned(pixels, down, across) {
  const result = new Uint8Array(pixels.length);
  for (let row = 0; row < down; row++) {
    for (let column = 0; column < across; column++) result[column * down + row] = pixels[row * across + column];
  }
  return result;
}
