"""The page on which an expert answers: image and questions turn by turn, saved as a file, all in one HTML file."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from miras.pages.html import page, words

__all__ = ["FORMAT", "VERSION", "expert_page"]

FORMAT = "miras-human-answers"
"""What a file of answers calls itself in its first line."""
VERSION = 1
"""Of the format."""

_HEADER = """<h1>Questions about images</h1>
<p>You answer what a person asks about an image, round by round. Each question comes once you have answered the one
before it, and what you have answered stays as it is, because the next question may give it away.</p>
<ul>
<li>Answer in English, in one or two sentences, from what you see and from what anybody knows.</li>
<li>When you are asked to mark, segment or outline something, name the one thing in the image that is meant, in words so
exact that somebody else would mark the same pixels.</li>
<li>Do not look anything up, ask nobody, and use no language model.</li>
<li>Pauses are fine: save your answers to a file and load it later to go on. At the end, send the file back.</li>
</ul>"""

_MAIN = """<style>
header ul { margin: 0 0 24px; padding-left: 20px; color: var(--soft); }
textarea { width: 100%; min-height: 90px; padding: 10px; font: inherit; color: inherit; background: var(--page);
  border: 1px solid var(--line); border-radius: 10px; }
button { padding: 8px 16px; font: inherit; color: #ffffff; background: var(--you);
  border: 0; border-radius: 10px; cursor: pointer; }
button:disabled { opacity: 0.4; cursor: default; }
.bar { display: flex; flex-wrap: wrap; gap: 12px; align-items: center; margin: 0 0 16px; }
.ask { margin-top: 14px; }
[hidden] { display: none !important; }
</style>
<div class="bar">
<strong id="progress"></strong>
<button type="button" id="save">Save answers to a file</button>
<button type="button" id="open">Load a saved file</button>
<input type="file" id="load" accept=".jsonl" aria-label="A saved file" hidden>
<span id="told" class="time" role="status"></span>
</div>
<article id="talk">
<div class="photo"><img id="image" alt="The image that is asked about"><p id="blind">There is no image to this one.
Answer from the questions alone, as well as you can.</p></div>
<div><ol id="rounds"></ol>
<div class="ask"><textarea id="answer" aria-label="Your answer" spellcheck="true"></textarea>
<p><button type="button" id="next"></button></p></div></div>
</article>
<p id="done" hidden>That was the last one. Save your answers to a file and send it back. Thank you.</p>
"""


def expert_page(expert: str, cases_sha256: str, talks: Sequence[Mapping[str, Any]]) -> str:
    """The whole page for an expert; each of `talks` has an id, its questions, and an image as a data URI or None."""
    head = {"format": FORMAT, "version": VERSION, "expert": expert, "cases_sha256": cases_sha256}
    # a text that holds </script> must not end the data
    data = json.dumps({"head": head, "talks": list(talks)}, ensure_ascii=False).replace("<", "\\u003c")
    script = (files("miras.evaluate.judge.human") / "page.js").read_text(encoding="utf-8")
    main = f'{_MAIN}<script type="application/json" id="data">{data}</script>\n<script>\n{script}</script>'
    return page(f"Questions about images, {expert}", _HEADER, main, words(f"For {expert}."))
