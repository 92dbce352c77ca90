// The turns as a person reads them: the question, the answer with its names in the colours of their masks, what can be done.

import { color } from "./paint.js";
import { counted, find, make, plain, questionOf, state, targetsOf } from "./state.js";

export function drawTurns(actions) {
  const list = find("turns");
  list.replaceChildren(...state.view.turns.map((turn, index) => drawn(turn, index, actions)));
  if (!state.view.turns.length) list.append(make("li", { className: "empty soft" }, "Ask what is in the photo, or have something marked."));
}

export function pending(question) {
  find("turns").querySelector(".empty")?.remove();
  const answer = make("div", { className: "model waiting" }, make("span", { className: "dots", ariaHidden: "true" }, make("i"), make("i"), make("i")));
  find("turns").append(make("li", { className: "turn" }, make("p", { className: "you" }, question), answer));
  toEnd();
  let begun = false;
  return (piece) => {
    if (!begun) answer.replaceChildren();
    begun = true;
    answer.append(piece);
    toEnd();
  };
}

export function toEnd() {
  const list = find("turns");
  list.scrollTop = list.scrollHeight;
}

function drawn(turn, index, actions) {
  const shown = index === state.shown, targets = targetsOf(turn), corrected = turn.corrected;
  const button = (text, label, act, more = {}) => {
    const made = make("button", { type: "button", className: "small-action", ...more }, text);
    made.setAttribute("aria-label", label);
    made.addEventListener("click", () => act(index));
    return made;
  };
  const facts = [
    `${turn.seconds.toFixed(1)} s`,
    turn.cut ? "cut off at its longest" : null,
    corrected ? "corrected by you" : null,
  ].filter(Boolean);
  const show = targets.length
    ? button(counted(targets.length, "mask"), `Show ${counted(targets.length, "mask")} of turn ${index + 1}`, actions.show, { ariaPressed: String(shown) })
    : null;
  const answer = make("div", { className: "model" }, ...words(turn));
  const item = make("li", { className: `turn${shown ? " shown" : ""}` },
    make("p", { className: "you" }, questionOf(turn)),
    answer,
    make("div", { className: "meta" },
      make("span", { className: "soft" }, facts.join(" · ")),
      show,
      index === state.view.turns.length - 1 ? button("Undo", `Undo turn ${index + 1}`, actions.undo) : null,
      button("Branch", `Branch after turn ${index + 1}`, actions.branch),
      button("Correct", `Correct turn ${index + 1}`, actions.correct)));
  item.dataset.turn = index;
  answer.addEventListener("click", () => actions.show(index));
  answer.addEventListener("pointerover", (event) => {
    const target = event.target.dataset?.target;
    if (shown) actions.light(target === undefined ? null : Number(target));
  });
  answer.addEventListener("pointerleave", () => actions.light(null));
  return item;
}

// The answer's pieces; a name that is marked gets the colour of its mask.
function words(turn) {
  if (turn.corrected?.answer) return [plain(turn.corrected.answer)];
  const pieces = [];
  let end = 0, number = 0;
  for (const match of turn.text.matchAll(/\[OBJ\]((?:(?!\[OBJ\]|\[SEG\])[^])*)\[SEG\]|\[SEG\]/g)) {
    pieces.push(plain(turn.text.slice(end, match.index)));
    if (match[1] !== undefined) {
      const mark = make("mark", {}, plain(match[1]));
      mark.dataset.target = number;
      mark.style.setProperty("--tone", color(number));
      pieces.push(mark);
    }
    number += 1;
    end = match.index + match[0].length;
  }
  pieces.push(plain(turn.text.slice(end)));
  return pieces.some((piece) => (piece.textContent ?? piece).trim()) ? pieces : ["(no words)"];
}
