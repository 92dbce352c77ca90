// The list of conversations, which this browser keeps by their names.

const KEY = "miras.talks";
const MOST = 60;

export function all() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((talk) => typeof talk?.id === "string") : [];
  } catch {
    return [];
  }
}

export function keep(talk) {
  const older = all().find((one) => one.id === talk.id) ?? {};
  write([{ ...older, ...talk }, ...all().filter((one) => one.id !== talk.id)]);
}

export function drop(id) {
  write(all().filter((one) => one.id !== id));
}

export function setting(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(`miras.${name}`);
    localStorage.setItem(`miras.${name}`, value);
  } catch {}
  return value ?? null;
}

// A small picture of the photo for the list.
export function thumbnail(picture) {
  const side = 96, scale = side / Math.min(picture.width, picture.height);
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const [width, height] = [picture.width * scale, picture.height * scale];
  canvas.getContext("2d").drawImage(picture, (side - width) / 2, (side - height) / 2, width, height);
  return canvas.toDataURL("image/jpeg", 0.7);
}

function write(talks) {
  for (let most = MOST; most >= 1; most = Math.floor(most / 2)) {
    try {
      localStorage.setItem(KEY, JSON.stringify(talks.slice(0, most)));
      return;
    } catch {} // full, or forbidden: fewer are kept, or none
  }
}
