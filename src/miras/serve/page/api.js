// The server as the page asks it: conversations, answers while they are written, files. All errors come in words.

const ROOT = "v1/";

export class Failure extends Error {
  constructor(message, { status = 0, code = "" } = {}) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const at = (id, rest = "") => `sessions/${encodeURIComponent(id)}${rest}`;
const json = (method, body) => ({ method, body: JSON.stringify(body), headers: { "content-type": "application/json" } });

export const open = (blob, name = "photo") => {
  const form = new FormData();
  form.append("image", blob, name);
  return view("sessions", { method: "POST", body: form });
};
export const model = async () => (await (await fetch("healthz")).json()).model;
export const look = (id) => view(at(id));
export const forget = (id) => call(at(id), { method: "DELETE" });
export const undo = (id) => view(at(id, "/turns/last"), { method: "DELETE" });
export const branch = (id, turns) => view(at(id, "/branch"), json("POST", { turns }));
export const correct = (id, turn, changes) => view(at(id, `/turns/${turn}`), json("PUT", changes));
export const uncorrect = async (id, turn) => {
  await call(at(id, `/turns/${turn}`), { method: "DELETE" });
  return look(id);
};
export const photo = async (id) => (await call(at(id, "/image"))).blob();

export async function file(id, form, turn, target) {
  const wanted = new URLSearchParams({ turn, ...(target === undefined ? {} : { target }) });
  const answer = await call(at(id, `/exports/${form}?${wanted}`));
  const name = /filename="?([^";]+)/.exec(answer.headers.get("content-disposition") ?? "");
  return { blob: await answer.blob(), name: name ? name[1] : `miras-${form}` };
}

// Pieces of the answer as { text }, at last { turn }.
export async function* ask(id, question, signal) {
  const answer = await call(at(id, "/turns"), { ...json("POST", { question, stream: true, limit: null }), signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", ended = false;
  try {
    while (!ended) {
      const { value, done } = await reader.read();
      if (done) break;
      rest += value;
      const events = rest.split(/\r?\n\r?\n/);
      rest = events.pop();
      for (const event of events) {
        const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
        if (!data.length) continue;
        if (data[0] === "[DONE]") {
          ended = true;
          break;
        }
        const piece = JSON.parse(data.join("\n"));
        if (piece.error) throw told(piece.error, 500);
        yield piece;
      }
    }
  } catch (error) {
    throw error instanceof Failure || error.name === "AbortError" ? error : unreachable();
  } finally {
    reader.cancel().catch(() => {});
  }
  if (!ended) throw new Failure("The answer broke off. Ask again; nothing was kept of it.");
}

async function view(path, options) {
  return (await call(path, options)).json();
}

async function call(path, options) {
  let answer;
  const key = sessionStorage.getItem("miras.key"), headers = { ...options?.headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
  try {
    answer = await fetch(ROOT + path, { ...options, headers });
  } catch (error) {
    throw error.name === "AbortError" ? error : unreachable();
  }
  if (answer.ok) return answer;
  let error = {};
  try {
    error = (await answer.json()).error ?? {};
  } catch {}
  if (answer.status === 401 && (await keyed(Boolean(key)))) return call(path, options);
  throw told(error, answer.status);
}

// Asks the person for the server's key; false when none is given.
let keyed = async () => false;
export const askKeyBy = (ask) => { keyed = ask; };

const unreachable = () =>
  new Failure("The server cannot be reached. Check that it is running and that you are connected, then try again.");

function told(error, status) {
  const plain = {
    404: "This conversation is no longer on the server. Begin a new one with a photo.",
    413: "This photo is too large for the server. Make it smaller and try again.",
    415: "This is not a photo that can be read. Save it as PNG or JPEG and try again.",
    429: "The server is busy. Try again in some seconds.",
    503: "The server is busy. Try again in some seconds.",
  };
  const words = error.message ? sentence(error.message) : "";
  const gone = error.code === undefined || error.code === "session_not_found";
  const said = { 404: gone ? plain[404] : words, 429: `${plain[429]}`, 503: words || plain[503] }[status];
  return new Failure(said || (plain[status] ? `${plain[status]} ${words}`.trim() : words) || `The server answered ${status}. Try again.`, {
    status,
    code: error.code ?? "",
  });
}

const sentence = (words) => words[0].toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? "" : ".");
