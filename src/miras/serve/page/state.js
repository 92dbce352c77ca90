// What all parts of the page share: the conversation on show, and small ways to make and find elements.

export const state = {
  view: null, // the conversation as the server tells it
  shown: -1, // which turn's masks are on the photo
  off: new Set(), // "turn/target" of masks that are hidden
  masks: new Map(), // "turn/target" → what the stage draws, made once
  answering: null, // the AbortController of the answer under way
  editing: null, // the turn that is being corrected
  ideas: [], // questions to begin with
};

export const find = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made && name !== "list") made[name] = value;
    else if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const turnOf = (index) => state.view?.turns[index];
export const questionOf = (turn) => turn.corrected?.question ?? turn.question;
export const targetsOf = (turn) => turn.corrected?.targets ?? turn.targets;
export const nameOf = (target) => target.phrase.trim() || "unnamed";
export const plain = (text) => text.replaceAll(/\[OBJ\]|\[SEG\]|<image>/g, "");
export const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

export function complain(error) {
  find("alert").hidden = false;
  find("alert-text").textContent = error?.message ?? String(error);
}

export function settle() {
  find("alert").hidden = true;
}

export function say(text) {
  find("said").textContent = text;
}
