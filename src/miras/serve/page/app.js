// The page: a photo becomes a conversation, questions become answers with masks; everything else is wired here.

import * as api from "./api.js";
import { drawTurns, pending, toEnd } from "./chat.js";
import { correct, leave, setUp } from "./corrections.js";
import { listen } from "./keys.js";
import { drawChips, lightUp, toggle } from "./masks.js";
import { dialogs, drawExamples, ideasFor, listTalks, nameModel } from "./shell.js";
import { Stage } from "./stage.js";
import { complain, counted, find, make, nameOf, questionOf, say, settle, state, targetsOf } from "./state.js";
import * as talks from "./talks.js";

const stage = new Stage(find("stage"), {
  zoomed: (scale) => (find("zoom-now").textContent = `${Math.round(100 * scale)} %`),
  over: (number) => lightUp(stage, number),
});

const actions = {
  show(index) {
    if (state.editing !== null || !state.view?.turns[index]) return;
    state.shown = index;
    drawAll();
    find("turns").querySelector(`[data-turn="${index}"]`)?.scrollIntoView({ block: "nearest" });
  },
  next: (step) => actions.show(Math.min(Math.max(state.shown + step, 0), (state.view?.turns.length ?? 0) - 1)),
  toggle: (number) => state.editing === null && toggle(stage, number),
  light: (number) => state.editing === null && lightUp(stage, number),
  correct: (index = state.shown) => { correct(index); drawBusy(); },
  leave,
  undo: () => acting(async () => {
    const asked = state.view.turns.at(-1);
    take(await api.undo(state.view.id));
    if (!find("question").value) find("question").value = questionOf(asked);
    say("The last turn is taken back.");
    find("question").focus();
    fitQuestion();
  }, () => state.view?.turns.length),
  branch: (index = state.shown) => acting(async () => {
    const older = talks.all().find((one) => one.id === state.view.id) ?? {};
    const view = await api.branch(state.view.id, index + 1);
    talks.keep({ ...older, id: view.id, title: `${older.title ?? "Conversation"} (branch)`, time: Date.now() });
    take(view, { fresh: true });
    say(`A branch with ${counted(view.turns.length, "turn")}. Both are under Conversations.`);
    find("question").focus();
  }, () => state.view?.turns[index]),
  stop: () => state.answering?.abort(),
  restart,
  resume,
};

// Runs what changes the conversation, unless an answer is under way; errors are told.
async function acting(work, possible = () => true) {
  if (state.answering || state.editing !== null || !possible()) return;
  settle();
  try {
    await work();
  } catch (error) {
    gone(error);
    complain(error);
  }
}

function gone(error) {
  if (error.status !== 404 || !state.view) return;
  talks.drop(state.view.id);
  listTalks(actions);
}

// A new state of the conversation; the last turn is shown.
function take(view, { fresh = view.id !== state.view?.id, shown = view.turns.length - 1 } = {}) {
  if (fresh) {
    state.masks.clear();
    state.off.clear();
  }
  for (const key of [...state.masks.keys(), ...state.off]) {
    if (Number(key.split("/")[0]) >= view.turns.length) {
      state.masks.delete(key);
      state.off.delete(key);
    }
  }
  Object.assign(state, { view, shown });
  history.replaceState(null, "", `#${view.id}`);
  drawAll();
  toEnd();
}

function drawAll() {
  drawTurns(actions);
  drawChips(stage);
  drawBusy();
  const asked = new Set(state.view.turns.map(questionOf));
  const left = state.ideas.filter((idea) => !asked.has(idea)).slice(0, state.view.turns.length ? 1 : 3);
  find("ideas").replaceChildren(...left.map((idea) => {
    const button = make("button", { type: "button", className: "idea" }, idea);
    button.addEventListener("click", () => ask(idea));
    return make("li", {}, button);
  }));
  listTalks(actions);
}

function drawBusy() {
  const busy = Boolean(state.answering);
  find("stop").hidden = !busy;
  find("send").hidden = busy;
  find("ideas").hidden = busy;
  find("status").textContent = busy ? "Answering…" : "";
}

async function begin(blob, name = blob.name ?? "photo", { title = "A photo", ideas } = {}) {
  if (state.answering) return;
  settle();
  if (blob.type && !blob.type.startsWith("image/")) {
    complain(new api.Failure(`“${name}” is not a photo. Choose an image file, such as PNG or JPEG.`));
    return;
  }
  leave();
  find("opening").textContent = "Opening the photo…";
  try {
    const view = await api.open(blob, name);
    const picture = await pictureOf(view, blob);
    state.ideas = ideas ?? ideasFor();
    talks.keep({ id: view.id, title, time: Date.now(), picture: talks.thumbnail(picture), ideas: state.ideas });
    enter(view, picture);
  } catch (error) {
    complain(error);
  } finally {
    find("opening").textContent = "";
  }
}

async function resume(id) {
  if (state.answering) return;
  settle();
  leave();
  try {
    const view = await api.look(id);
    state.ideas = talks.all().find((one) => one.id === id)?.ideas ?? ideasFor();
    enter(view, await pictureOf(view));
  } catch (error) {
    if (error.status === 404) talks.drop(id);
    listTalks(actions);
    if (location.hash === `#${id}`) history.replaceState(null, "", location.pathname);
    complain(error);
  }
}

function enter(view, picture) {
  find("start").hidden = true;
  find("talk").hidden = false;
  document.body.dataset.state = "talk";
  state.view = null;
  stage.show(picture, view.width, view.height);
  stage.canvas.setAttribute("aria-label", `The photo, ${view.width} by ${view.height} pixels`);
  take(view, { fresh: true });
  find("question").focus();
}

// What the person chose where the browser shows it upright as the server does, else the server's own.
async function pictureOf(view, blob = null) {
  const own = blob && (await createImageBitmap(blob).catch(() => null));
  return own?.width === view.width && own.height === view.height ? own : createImageBitmap(await api.photo(view.id));
}

function restart() {
  if (state.answering) return;
  leave();
  settle();
  state.view = null;
  history.replaceState(null, "", location.pathname);
  find("talk").hidden = true;
  find("start").hidden = false;
  document.body.dataset.state = "start";
  listTalks(actions);
  find("file").focus();
}

async function ask(question = find("question").value) {
  if (!question.trim() || state.answering || !state.view) return;
  settle();
  const { id } = state.view, stopping = (state.answering = new AbortController());
  find("question").value = "";
  drawBusy();
  const put = pending(question.trim());
  try {
    let turn = null;
    for await (const piece of api.ask(id, question, stopping.signal)) {
      if (piece.text) put(piece.text);
      turn = piece.turn ?? turn;
    }
    const older = talks.all().find((one) => one.id === id);
    talks.keep({ id, time: Date.now(), ...(state.view.turns.length ? {} : { title: older?.title !== "A photo" ? older?.title : question }) });
    state.answering = null;
    take({ ...state.view, turns: [...state.view.turns, turn] });
    const marked = targetsOf(turn).map((one) => `${nameOf(one)}, confidence ${one.score.toFixed(2)}`);
    say(`${turn.plain}${marked.length ? `. ${counted(marked.length, "mask")}: ${marked.join("; ")}.` : ""}`);
  } catch (error) {
    find("question").value ||= question;
    if (error.name !== "AbortError") complain(error);
    else say("Stopped. Nothing was kept of the answer.");
    gone(error);
    const known = await api.look(id).catch(() => state.view);
    state.answering = null;
    take(known);
  } finally {
    find("question").focus();
    fitQuestion();
  }
}

function fitQuestion() {
  const field = find("question");
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight + 2, 160)}px`;
}

function wire() {
  for (const id of ["file", "camera"]) {
    find(id).addEventListener("change", ({ target }) => {
      if (target.files[0]) begin(target.files[0]);
      target.value = "";
    });
  }
  document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.dataset.drag = ""; });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) delete document.body.dataset.drag; });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    delete document.body.dataset.drag;
    if (event.dataTransfer.files[0]) begin(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData?.files[0]) begin(event.clipboardData.files[0]);
  });
  find("composer").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
  find("question").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    ask();
  });
  find("question").addEventListener("input", fitQuestion);
  const clicks = {
    stop: actions.stop, "new-photo": restart, "alert-close": settle,
    correct: () => actions.correct(),
    "zoom-in": () => stage.zoom(1.4), "zoom-out": () => stage.zoom(1 / 1.4), "zoom-fit": () => stage.fit(),
  };
  for (const [id, act] of Object.entries(clicks)) find(id).addEventListener("click", act);
  for (const [id, look] of [["opacity", (field) => field.value / 100], ["outline", (field) => field.checked], ["names", (field) => field.checked]]) {
    find(id).addEventListener("input", ({ target }) => { stage[id] = look(target); stage.draw(); });
  }
  addEventListener("offline", () => complain("You are offline. What is on the page stays; answers come again once you are back."));
  addEventListener("online", settle);
}

setUp(stage, drawAll);
wire();
listen(stage, actions);
dialogs(actions);
drawExamples(begin);
listTalks(actions);
nameModel();
if (location.hash.length > 1) resume(decodeURIComponent(location.hash.slice(1)));
