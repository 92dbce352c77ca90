// The keyboard: single keys anywhere but in fields, arrows on the photo, the pen while masks are drawn.

import { drawing } from "./corrections.js";
import { find, state } from "./state.js";
import { setting } from "./talks.js";

const FIELDS = "input:not([type=radio]):not([type=checkbox]):not([type=range]), textarea, select";

export function listen(stage, actions) {
  const on = find("keys-on");
  on.checked = setting("keys") !== "off";
  on.addEventListener("change", () => setting("keys", on.checked ? "on" : "off"));
  stage.canvas.addEventListener("keydown", (event) => onPhoto(event, stage));
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") {
      escape(actions);
      return;
    }
    if (event.target.matches(FIELDS)) return;
    if (event.ctrlKey || event.metaKey) {
      if (event.key === "z" && drawing()) {
        event.preventDefault();
        drawing().back();
      }
      return;
    }
    if (!on.checked && event.target !== stage.canvas) return;
    const act = meaning(event.key, stage, actions);
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function escape(actions) {
  if (state.answering) actions.stop();
  else if (find("downloads").open) find("downloads").open = false;
  else if (drawing()?.points.length) drawing().back();
  else if (state.editing !== null) {
    actions.leave();
    find("correct").focus();
  }
}

function onPhoto(event, stage) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const steps = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
  if (stage.pen) {
    if (stage.pen.press(event.key, event.shiftKey)) event.preventDefault();
  } else if (event.key in steps) {
    event.preventDefault();
    stage.pan(...steps[event.key]);
  }
}

function meaning(key, stage, actions) {
  if (key === "?") return () => find("open-keys").click();
  if (key === "n") return actions.restart;
  if (!state.view) return null;
  const zoom = { "+": () => stage.zoom(1.4), "=": () => stage.zoom(1.4), "-": () => stage.zoom(1 / 1.4), 0: () => stage.fit() };
  const size = (factor) => () => {
    const field = find("size");
    field.value = String(Math.max(1, Math.round(Number(field.value) * factor + (factor > 1 ? 1 : -1))));
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const swap = () => document.querySelector('input[name="effect"]:not(:checked)').click();
  if (state.editing !== null) return { ...zoom, "[": size(0.8), "]": size(1.25), x: swap }[key] ?? null;
  if (/^[1-9]$/.test(key)) return () => actions.toggle(Number(key) - 1);
  return {
    ...zoom,
    "/": () => find("question").focus(),
    j: () => actions.next(1),
    k: () => actions.next(-1),
    u: actions.undo,
    b: () => actions.branch(),
    e: () => actions.correct(),
  }[key] ?? null;
}
