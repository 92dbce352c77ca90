// The masks of the shown turn: on the stage, as chips beside it, and as files to download.

import * as api from "./api.js";
import { area, color, ink, layer } from "./paint.js";
import { decode } from "./rle.js";
import { complain, find, make, nameOf, settle, state, targetsOf, turnOf } from "./state.js";

const FORMS = [
  ["prist", "Conversation as PRIST (zip)"], ["mask", "Mask (PNG)"], ["overlay", "Photo with masks (PNG)"], ["labelme", "labelme (JSON)"],
  ["coco", "COCO (JSON)"], ["rle", "Run lengths (JSON)"], ["svg", "Outlines (SVG)"],
];

// What the stage draws for each target of a turn; decoded once.
export function drawable(index) {
  const turn = turnOf(index);
  if (!turn) return [];
  return targetsOf(turn).map((target, number) => {
    const key = `${index}/${number}`, known = state.masks.get(key);
    const one = known?.target === target ? known : fresh(target, number);
    state.masks.set(key, one);
    one.on = !state.off.has(key);
    return one;
  });
}

export function fresh(target, number) {
  const { width, height } = state.view, mask = decode(target.mask), tone = color(number);
  return { target, mask, tone, name: nameOf(target), layer: layer(mask, width, height, tone), on: true };
}

export function drawChips(stage) {
  const turn = turnOf(state.shown), chips = find("chips");
  stage.masks = drawable(state.shown);
  stage.lit = null;
  stage.draw();
  find("masks-title").textContent = turn ? `Masks of turn ${state.shown + 1}` : "Masks";
  chips.replaceChildren(...stage.masks.map((one, number) => chip(stage, one, number)));
  if (!stage.masks.length) {
    const none = turn ? "This turn marks nothing." : "What you ask to be marked lights up on the photo.";
    chips.append(make("li", { className: "soft none" }, none));
  }
  find("correct").disabled = !turn;
  drawForms(stage);
}

function chip(stage, one, number) {
  const share = (100 * (one.target.area ?? area(one.mask))) / one.mask.length, score = one.target.score;
  const size = `${share >= 10 ? share.toFixed(0) : share >= 0.05 ? share.toFixed(1) : "under 0.1"} % of the photo`;
  const sure = score === undefined || score === null ? "drawn by you" : `confidence ${score.toFixed(2)}`;
  const button = make("button", { type: "button", className: "chip", ariaPressed: String(one.on) },
    make("span", { className: "swatch", ariaHidden: "true" }, String(number + 1)),
    make("span", { className: "chip-name" }, one.name),
    make("span", { className: "chip-facts" }, `${sure}${score < 0.5 ? ", unsure" : ""} · ${share ? size : "an empty mask"}`));
  button.style.setProperty("--tone", one.tone);
  button.style.setProperty("--ink-on", ink(one.tone));
  button.addEventListener("click", () => toggle(stage, number));
  const light = (on) => () => lightUp(stage, on ? number : null);
  button.addEventListener("pointerenter", light(true));
  button.addEventListener("pointerleave", light(false));
  button.addEventListener("focus", () => button.matches(":focus-visible") && lightUp(stage, number));
  button.addEventListener("blur", light(false));
  return make("li", {}, button);
}

export function toggle(stage, number) {
  const one = stage.masks[number], key = `${state.shown}/${number}`;
  if (!one) return;
  one.on = !one.on;
  if (one.on) state.off.delete(key);
  else state.off.add(key);
  const button = find("chips").querySelectorAll(".chip")[number];
  button?.setAttribute("aria-pressed", String(one.on));
  stage.lit = null;
  stage.draw();
}

export function lightUp(stage, number) {
  if (stage.lit === number) return;
  stage.lit = number;
  find("chips").querySelectorAll(".chip").forEach((one, index) => one.classList.toggle("lit", index === number));
  stage.draw();
}

function drawForms(stage) {
  const menu = find("downloads"), turn = state.shown;
  menu.hidden = !stage.masks.length;
  menu.open = false;
  const entry = (form, text, target) => {
    const button = make("button", { type: "button" }, text);
    button.dataset.form = form;
    button.addEventListener("click", () => download(form, turn, target));
    return button;
  };
  const each = stage.masks.length > 1 ? stage.masks.map((one, number) => entry("mask", `Mask of ${one.name} (PNG)`, number)) : [];
  const all = FORMS.map(([form, text]) => entry(form, form === "mask" && each.length ? "All masks as one (PNG)" : text));
  find("forms").replaceChildren(...all.slice(0, 2), ...each, ...all.slice(2));
}

async function download(form, turn, target) {
  settle();
  try {
    const { blob, name } = await api.file(state.view.id, form, turn, target);
    const link = make("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    find("downloads").open = false;
    find("downloads").querySelector("summary").focus();
  } catch (error) {
    complain(error);
  }
}
