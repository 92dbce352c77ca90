// Correcting a turn: its words in fields, its masks by brush or polygon, sent to the server beside what the model said.

import * as api from "./api.js";
import { drawChips, fresh } from "./masks.js";
import { color } from "./paint.js";
import { Pen } from "./pen.js";
import { encode } from "./rle.js";
import { complain, find, make, plain, questionOf, settle, state, targetsOf, turnOf } from "./state.js";

let pen = null, masks = [], stage = null, done = () => {};

export function setUp(ownStage, whenDone) {
  stage = ownStage;
  done = whenDone;
  const tools = find("tools");
  tools.addEventListener("change", () => read());
  find("size").addEventListener("input", () => read());
  find("stroke-undo").addEventListener("click", () => pen?.back());
  find("polygon-done").addEventListener("click", () => pen?.close());
  find("corrections").addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
}

export const drawing = () => pen;

export function correct(index) {
  const turn = turnOf(index);
  if (!turn || state.answering) return;
  if (state.editing !== null) leave();
  settle();
  state.editing = index;
  masks = targetsOf(turn).map((target, number) => ({ ...fresh(target, number), touched: false }));
  pen = new Pen(stage, { changed: status });
  Object.assign(stage, { pen, masks, lit: null });
  document.body.dataset.editing = "";
  find("tools").hidden = false;
  find("corrections").hidden = false;
  find("size").value = String(Math.max(6, Math.round(Math.min(stage.width, stage.height) / 16)));
  find("size").max = String(Math.max(40, Math.round(Math.min(stage.width, stage.height) / 3)));
  form(turn, index);
  if (!masks.length) add();
  choose(0);
  read();
  find("corrections").querySelector("textarea").focus();
}

export function leave() {
  if (state.editing === null) return;
  state.editing = null;
  pen = stage.pen = null;
  delete document.body.dataset.editing;
  find("tools").hidden = true;
  find("corrections").hidden = true;
  find("corrections").replaceChildren();
  drawChips(stage);
  done();
}

function read() {
  if (!pen) return;
  const of = (name) => document.querySelector(`input[name="${name}"]:checked`).value;
  pen.tool = of("tool");
  pen.value = of("effect") === "add" ? 1 : 0;
  pen.size = Number(find("size").value);
  pen.points = [];
  stage.canvas.dataset.tool = pen.tool;
  status();
}

function status() {
  find("polygon-done").hidden = pen.tool !== "polygon";
  find("polygon-done").disabled = pen.points.length < 3;
  find("stroke-undo").disabled = !pen.points.length && !pen.strokes.length;
  stage.draw();
}

function form(turn, index) {
  const field = (name, value) => make("label", {}, make("span", { className: "label" }, name), make("textarea", { name: name.toLowerCase(), rows: 2, value }));
  const list = make("ul", { className: "drawn", id: "drawn" });
  const button = (text, className, act, type = "button") => {
    const made = make("button", { type, className }, text);
    if (act) made.addEventListener("click", act);
    return made;
  };
  find("corrections").replaceChildren(
    make("h2", { id: "corrections-title" }, `Correct turn ${index + 1}`),
    make("p", { className: "soft small" }, "Kept beside the model's own words and masks, and used in downloads. The model does not learn from it, nor read it."),
    field("Question", questionOf(turn)),
    field("Answer", plain(turn.corrected?.answer ?? turn.plain)),
    make("fieldset", {}, make("legend", { className: "label" }, "Masks: choose one and draw on the photo"), list,
      button("Add a mask", "button", () => { add(); choose(masks.length - 1); list.lastElementChild.querySelector("input[type=text]").focus(); })),
    make("div", { className: "row end" },
      turn.corrected ? button("Remove correction", "quiet", remove) : null,
      button("Cancel", "button", leave),
      button("Save correction", "button strong", null, "submit")));
  rows();
}

function rows() {
  find("drawn").replaceChildren(...masks.map((one, number) => {
    const radio = make("input", { type: "radio", name: "drawn", checked: pen.one === one, ariaLabel: `Draw mask ${number + 1}` });
    radio.addEventListener("change", () => choose(number));
    const name = make("input", { type: "text", value: one.target.phrase, placeholder: "What is it?", ariaLabel: `Name of mask ${number + 1}`, maxLength: 120 });
    name.addEventListener("input", () => { one.name = name.value; });
    name.addEventListener("focus", () => choose(number));
    const gone = make("button", { type: "button", className: "icon", ariaLabel: `Remove mask ${number + 1}`, title: "Remove" }, "×");
    gone.addEventListener("click", () => {
      masks.splice(masks.indexOf(one), 1);
      pen.strokes = pen.strokes.filter((stroke) => stroke.one !== one);
      rows();
      choose(0);
      find("drawn").querySelector("input[type=radio]")?.focus();
    });
    const swatch = make("span", { className: "swatch", ariaHidden: "true" });
    swatch.style.setProperty("--tone", one.tone);
    return make("li", {}, radio, swatch, name, gone);
  }));
}

function add() {
  const number = masks.length, size = [state.view.height, state.view.width];
  const target = { phrase: "", mask: { size, counts: encode(new Uint8Array(size[0] * size[1]), ...size).counts } };
  masks.push({ ...fresh(target, number), tone: color(number), name: "", touched: true, added: true });
  rows();
}

function choose(number) {
  const one = masks[number] ?? null;
  pen.take(one);
  find("drawn").querySelectorAll("input[type=radio]").forEach((radio, index) => (radio.checked = index === number));
  stage.masks = masks;
  status();
}

async function save() {
  const turn = turnOf(state.editing), fields = find("corrections").elements, { width, height } = state.view;
  const kept = masks.filter((one) => !(one.added && !one.layer && !one.name.trim()));
  const unnamed = kept.find((one) => !one.name.trim() || one.name === "unnamed" && one.added);
  const empty = kept.find((one) => !one.layer && one.touched);
  if (unnamed) return complain(`Mask ${masks.indexOf(unnamed) + 1} has no name. Say what it is, or remove it.`);
  if (empty) return complain(`The mask “${empty.name}” is empty. Draw it, or remove it.`);
  const same = kept.length === turn.targets.length && !turn.corrected?.targets
    && kept.every((one, index) => !one.touched && one.name === (turn.targets[index].phrase.trim() || "unnamed"));
  const differs = (value, own) => (value.trim() && value.trim() !== own.trim() ? value.trim() : null);
  const changes = {
    question: differs(fields.question.value, turn.question),
    answer: differs(fields.answer.value, turn.plain),
    targets: same ? null : kept.map((one) => ({ phrase: one.name.trim(), mask: one.touched ? encode(one.mask, height, width) : one.target.mask })),
  };
  await send(Object.values(changes).some((value) => value !== null) ? () => api.correct(state.view.id, state.editing, changes) : turn.corrected ? undoIt : null);
}

const undoIt = () => api.uncorrect(state.view.id, state.editing);
const remove = () => send(undoIt);

async function send(request) {
  settle();
  try {
    if (request) {
      state.view = await request();
      state.shown = state.editing;
      for (const key of state.masks.keys()) if (key.startsWith(`${state.editing}/`)) state.masks.delete(key);
    }
    leave();
  } catch (error) {
    complain(error);
  }
}
