"use strict";
// What is answered is kept as a list of texts for each conversation, as long as the rounds that are done.
const { head, talks } = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const place = `miras ${head.expert} ${head.cases_sha256}`;
let answers = new Map(talks.map((talk) => [talk.id, []]));
let saved = true;

function kept() {
  const lines = talks.filter((talk) => answers.get(talk.id).length)
    .map((talk) => ({ id: talk.id, answers: answers.get(talk.id) }));
  return [head, ...lines].map((line) => JSON.stringify(line) + "\n").join("");
}

// Takes over a saved file, and says what is wrong with one that is not of this page.
function take(text) {
  const [first, ...lines] = text.split("\n").filter((line) => line.trim()).map((line) => JSON.parse(line));
  if (first.format !== head.format || first.cases_sha256 !== head.cases_sha256 || first.expert !== head.expert) {
    throw new Error(`it is of ${first.expert || "something else"}, this page is for ${head.expert}`);
  }
  const found = new Map(talks.map((talk) => [talk.id, []]));
  for (const line of lines) {
    const talk = talks.find((one) => one.id === line.id);
    if (!talk || line.answers.length > talk.questions.length) throw new Error(`${line.id} is not asked here`);
    found.set(line.id, line.answers.map(String));
  }
  answers = found;
}

function remember() {
  // some browsers keep nothing for pages opened from a file; the saved file is what counts
  try { localStorage.setItem(place, kept()); } catch (error) { /* nothing is lost but comfort */ }
}

function bubble(kind, text) {
  const item = document.createElement("li");
  item.className = kind;
  item.textContent = text;
  at("rounds").append(item);
}

function current() {
  return talks.findIndex((talk) => answers.get(talk.id).length < talk.questions.length);
}

function show() {
  const index = current();
  const ended = index < 0;
  at("progress").textContent = `${ended ? talks.length : index} of ${talks.length} conversations are answered`;
  at("talk").hidden = ended;
  at("done").hidden = !ended;
  if (ended) return;
  const talk = talks[index], given = answers.get(talk.id);
  at("image").hidden = !talk.image;
  at("blind").hidden = Boolean(talk.image);
  if (talk.image && at("image").src !== talk.image) at("image").src = talk.image;
  at("rounds").replaceChildren();
  given.forEach((answer, round) => { bubble("you", talk.questions[round]); bubble("model", answer); });
  bubble("you", talk.questions[given.length]);
  at("answer").value = "";
  at("next").textContent = given.length + 1 < talk.questions.length ? "Next question" : "Next conversation";
  at("next").disabled = true;
}

at("answer").addEventListener("input", () => { at("next").disabled = !at("answer").value.trim(); });

at("next").addEventListener("click", () => {
  const text = at("answer").value.trim();
  if (!text) return;
  answers.get(talks[current()].id).push(text);
  saved = false;
  remember();
  show();
  at("answer").focus();
});

at("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([kept()], { type: "application/jsonl" }));
  link.download = `${head.expert.replaceAll(" ", "-")}.jsonl`;
  link.click();
  URL.revokeObjectURL(link.href);
  saved = true;
  at("told").textContent = `saved as ${link.download}, where your browser keeps downloads`;
});

at("open").addEventListener("click", () => at("load").click());

at("load").addEventListener("change", async (event) => {
  try {
    take(await event.target.files[0].text());
    remember();
    show();
    at("told").textContent = "loaded";
  } catch (error) {
    at("told").textContent = `that file cannot be used: ${error.message}`;
  }
  event.target.value = "";
});

window.addEventListener("beforeunload", (event) => { if (!saved) event.preventDefault(); });

try {
  const before = localStorage.getItem(place);
  if (before) { take(before); saved = false; }
} catch (error) { /* it begins anew */ }
show();
