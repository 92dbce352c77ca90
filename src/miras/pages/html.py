"""What every HTML page of the project shares: one style, safe text and links, an answer with its names as chips."""

import re
from html import escape
from urllib.parse import quote

from miras import tokens
from miras.files import printable
from miras.pages.draw import PALETTE

__all__ = ["answer", "counted", "link", "page", "tone", "words"]

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
td, th { padding: 2px 16px 2px 0; text-align: left; font-variant-numeric: tabular-nums; }
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


def page(title: str, header: str, main: str, footer: str, style: str = "") -> str:
    """A whole page around pieces of HTML; the title is plain text, `style` is CSS on top of the shared one."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>{words(title)}</title>
<style>{_STYLE}{style}</style>
</head>
<body>
<header>
{header}
</header>
<main>
{main}
</main>
<footer>{footer}</footer>
</body>
</html>
"""


def answer(text: str) -> str:
    """An answer as HTML, each `[OBJ]phrase[SEG]` as a chip in the colour of its mask."""
    shown, end = [], 0
    for match in _OBJECT.finditer(text):
        color = tone(text.count(tokens.SEG, 0, match.start()))
        chip = f'<mark style="--tone: {color}">{words(tokens.strip(match[1]))}</mark>'
        shown += [words(tokens.strip(text[end : match.start()])), chip]
        end = match.end()
    shown.append(words(tokens.strip(text[end:])))
    return "".join(shown) or "(no words)"


def tone(index: int) -> str:
    """The colour of a mask, as CSS writes it."""
    red, green, blue = PALETTE[index % len(PALETTE)]
    return f"#{red:02x}{green:02x}{blue:02x}"


def words(text: str) -> str:
    """Any text as HTML text."""
    return escape(printable(text))


def link(name: str) -> str:
    """A file name as the value of an attribute."""
    return escape(quote(name))


def counted(number: int, noun: str) -> str:
    """`1 mask`, `2 masks`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
