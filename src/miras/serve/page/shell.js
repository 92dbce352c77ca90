// Around the conversation: the bundled photos, the list of conversations, the dialogs, the theme.

import * as api from "./api.js";
import { find, make, state } from "./state.js";
import * as talks from "./talks.js";

// Questions follow photos/demo.yaml.
const EXAMPLES = [
  {
    file: "astronaut.jpg", title: "An astronaut", alt: "A woman in an orange space suit before a flag", credit: "NASA",
    ideas: ["What is this photo of?", "Something here grows on the head and gets combed. What sort of thing is it?", "What is it called?", "Mark exactly that, please."],
  },
  {
    file: "cat.jpg", title: "A cat", alt: "The face of a cat", credit: "Stefan van der Walt",
    ideas: ["What can you see in this photo?", "Something here purrs and hunts mice. What sort of thing is it?", "What is it called?", "Please show me precisely which pixels belong to it."],
  },
  {
    file: "coffee.jpg", title: "A coffee", alt: "A cup of espresso on a saucer with a spoon", credit: "Rachel Michetti",
    ideas: ["What is this photo of?", "What do people here eat or drink from?", "Where in the photo is it?", "What is it called?", "Good. Now segment the thing we are talking about."],
  },
];
const THEMES = { system: ["◐", "as the system"], light: ["☀", "light"], dark: ["☾", "dark"] };

export const ideasFor = () => ["What is in this photo?", "Mark the largest thing in it."];

export function drawExamples(begin) {
  find("examples").replaceChildren(...EXAMPLES.map((example) => {
    const address = `static/examples/${example.file}`;
    const button = make("button", { type: "button", className: "example" },
      make("img", { src: address, alt: example.alt, width: 220, height: 150 }),
      make("span", {}, example.title, make("small", { className: "soft" }, `Photo: ${example.credit}`)));
    button.addEventListener("click", async () => {
      const blob = await fetch(address).then((answer) => answer.blob(), () => null);
      begin(blob ?? new Blob(), example.file, example);
    });
    return make("li", {}, button);
  }));
}

export function listTalks(actions) {
  const known = talks.all();
  find("talk-count").textContent = known.length ? String(known.length) : "";
  find("no-talks").hidden = known.length > 0;
  find("talk-list").replaceChildren(...known.map((talk) => {
    const here = talk.id === state.view?.id;
    const enter = make("button", { type: "button", className: "talk-entry" },
      talk.picture ? make("img", { src: talk.picture, alt: "", width: 48, height: 48 }) : make("span", { className: "blank" }),
      make("span", {}, talk.title || "A photo", make("small", { className: "soft" }, here ? "On show" : new Date(talk.time ?? 0).toLocaleString())));
    if (here) enter.setAttribute("aria-current", "true");
    enter.addEventListener("click", () => {
      find("talks").close();
      if (!here) actions.resume(talk.id);
    });
    const drop = make("button", { type: "button", className: "icon", ariaLabel: `Forget “${talk.title || "A photo"}”`, title: "Forget, here and on the server" }, "×");
    drop.addEventListener("click", async () => {
      await api.forget(talk.id).catch(() => {});
      talks.drop(talk.id);
      if (here) actions.restart();
      listTalks(actions);
      find("talks").querySelector("button").focus();
    });
    return make("li", {}, enter, drop);
  }));
}

export function dialogs(actions) {
  const open = (button, dialog, before = () => {}) => find(button).addEventListener("click", () => {
    before();
    find(dialog).showModal();
  });
  open("open-keys", "keys");
  open("open-about", "about");
  open("more-about", "about");
  open("open-talks", "talks", () => listTalks(actions));
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
  find("theme").addEventListener("click", () => {
    const names = Object.keys(THEMES), now = setTheme();
    setTheme(names[(names.indexOf(now) + 1) % names.length]);
  });
  setTheme();
  find("key-cancel").addEventListener("click", () => find("key").close("cancel"));
  api.askKeyBy(askKey);
}

// What the page says of nano holds for nano alone.
export async function nameModel() {
  const model = await api.model().catch(() => null);
  if (!model || model === "nano") return;
  find("honest").textContent = `This server runs the model ${model}. It can be wrong: look at the confidence beside each mask.`;
  find("model-name").textContent = model;
  find("other-model").hidden = false;
}

function setTheme(wanted) {
  const known = talks.setting("theme", wanted), name = known in THEMES ? known : "system";
  document.documentElement.dataset.theme = name;
  find("theme-sign").textContent = THEMES[name][0];
  find("theme").setAttribute("aria-label", `Theme: ${THEMES[name][1]}`);
  return name;
}

function askKey(again) {
  const dialog = find("key");
  if (again) find("key-wrong").textContent = "That key does not fit. Try another.";
  find("key-words").value = "";
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((answer) => dialog.addEventListener("close", () => {
    const given = dialog.returnValue === "ok" && find("key-words").value.trim();
    if (given) sessionStorage.setItem("miras.key", given);
    answer(Boolean(given));
  }, { once: true }));
}
