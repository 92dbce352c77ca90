"""A page of conversations with their masks: one HTML file beside its pictures, made from the JSON record."""

import re
from html import escape
from pathlib import Path
from urllib.parse import quote

from miras import tokens
from miras.serve.draw import PALETTE
from miras.serve.files import printable, write_text
from miras.serve.record import Exchange, MarkedTarget, TalkRecord, read_record

__all__ = ["write_gallery"]

_STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #ffffff; --ink: #1d2330; --soft: #5d6678;
  --line: #e1e5ec; --you: #0072b2; --bubble: #eef1f6; }
@media (prefers-color-scheme: dark) { :root { --page: #11141a; --card: #191e27; --ink: #e7eaf0; --soft: #9aa4b5;
  --line: #2b3240; --you: #0b6aa3; --bubble: #252c38; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
header, main, footer { max-width: 1040px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 40px; }
h1 { margin: 0; font-size: 30px; letter-spacing: -0.02em; }
header p, footer { color: var(--soft); }
header p { margin: 4px 0 24px; }
article { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 7fr); gap: 28px; margin: 0 0 24px;
  padding: 24px; background: var(--card); border: 1px solid var(--line); border-radius: 16px; }
.photo { position: sticky; top: 24px; align-self: start; }
h2 { margin: 0 0 12px; font-size: 19px; line-height: 1.3; }
img { display: block; width: 100%; height: auto; border-radius: 10px; }
figure { margin: 0; }
figcaption, .time { color: var(--soft); font-size: 13px; }
figcaption { margin-top: 6px; }
ol { list-style: none; margin: 0; padding: 0; display: flex; flex-direction: column; gap: 10px; }
.you, .model { max-width: 88%; padding: 9px 14px; border-radius: 16px; overflow-wrap: anywhere; white-space: pre-wrap; }
.you { align-self: flex-end; background: var(--you); color: #ffffff; border-bottom-right-radius: 4px; }
.model { align-self: flex-start; background: var(--bubble); border-bottom-left-radius: 4px; }
.time { align-self: flex-start; margin: -6px 0 4px 14px; font-size: 12px; }
.mask { width: 100%; max-width: 440px; margin: 2px 0 8px; }
mark { padding: 1px 7px; border-radius: 7px; font-weight: 600; color: inherit; background: transparent;
  box-shadow: inset 0 0 0 2px var(--tone); }
.dot { display: inline-block; width: 10px; height: 10px; margin-right: 6px; border-radius: 50%;
  background: var(--tone); }
a { color: inherit; }
footer { padding: 8px 20px 40px; font-size: 14px; }
@media (max-width: 720px) { article { grid-template-columns: minmax(0, 1fr); gap: 18px; padding: 16px; }
  .photo { position: static; } header { padding-top: 24px; } header, main, footer { padding-left: 12px;
  padding-right: 12px; } .you, .model { max-width: 94%; } }
"""

_OBJECT = re.compile(rf"{re.escape(tokens.OBJ)}(.*?){re.escape(tokens.SEG)}", re.DOTALL)


def write_gallery(record: Path) -> Path:
    """Writes `index.html` beside a JSON record and returns its path. Raises DataError when the record is not one."""
    known = read_record(record)
    talks = "\n".join(_talk(talk) for talk in known.conversations)
    seconds = sum(talk.seconds for talk in known.conversations)
    masks = sum(len(exchange.targets) for talk in known.conversations for exchange in talk.exchanges)
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>MIRAS: conversations that end in a mask</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>MIRAS</h1>
<p>{_words(known.model)}: {_count(len(known.conversations), "conversation")}, {_count(masks, "mask")}, \
{seconds:.1f} s of answers. Every word and mask is the model's own.</p>
</header>
<main>
{talks}
</main>
<footer>Texts, masks and confidences are also in <a href="{_link(record.name)}">{_words(record.name)}</a>.</footer>
</body>
</html>
"""
    return write_text(record.with_name("index.html"), page)


def _talk(talk: TalkRecord) -> str:
    height, width = talk.size
    lines = "\n".join(_exchange(exchange, talk.size) for exchange in talk.exchanges)
    if not any(exchange.targets for exchange in talk.exchanges):
        lines += '\n<li class="time">No mask in this conversation.</li>'
    return f"""<article>
<div class="photo">
<h2>{_words(talk.title)}</h2>
<figure>
<img src="{_link(talk.photo)}" width="{width}" height="{height}" alt="The photo of this conversation" />
<figcaption>{_words(talk.credit)}</figcaption>
</figure>
</div>
<ol>
{lines}
</ol>
</article>"""


def _exchange(exchange: Exchange, size: tuple[int, int]) -> str:
    figures = "\n".join(_figure(target, size, _tone(index)) for index, target in enumerate(exchange.targets))
    return f"""<li class="you">{_words(exchange.question)}</li>
<li class="model">{_answer(exchange.answer)}</li>
<li class="time">{exchange.seconds:.1f} s</li>
{figures}"""


def _answer(text: str) -> str:
    """The answer with each `[OBJ]phrase[SEG]` as a chip in the colour of its mask."""
    shown, end = [], 0
    for match in _OBJECT.finditer(text):
        tone = _tone(text.count(tokens.SEG, 0, match.start()))
        chip = f'<mark style="--tone: {tone}">{_words(tokens.strip(match[1]))}</mark>'
        shown += [_words(tokens.strip(text[end : match.start()])), chip]
        end = match.end()
    shown.append(_words(tokens.strip(text[end:])))
    return "".join(shown) or "(no words)"


def _figure(target: MarkedTarget, size: tuple[int, int], tone: str) -> str:
    height, width = size
    phrase = _words(target.phrase) or "unnamed"
    area = f"{target.share:.1%}".replace("%", " %") if target.share else "nothing, an empty mask: 0 %"
    return f"""<li class="mask">
<figure>
<img src="{_link(target.overlay)}" width="{width}" height="{height}" alt="Marked: {phrase}" />
<figcaption><span class="dot" style="--tone: {tone}"></span><b>{phrase}</b> covers {area} of the image, confidence \
{target.score:.2f} · <a href="{_link(target.mask_image)}">mask</a></figcaption>
</figure>
</li>"""


def _tone(index: int) -> str:
    red, green, blue = PALETTE[index % len(PALETTE)]
    return f"#{red:02x}{green:02x}{blue:02x}"


def _words(text: str) -> str:
    return escape(printable(text))


def _link(name: str) -> str:
    return escape(quote(name))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
