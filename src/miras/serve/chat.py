"""The terminal chat: words as they come, masks as files, commands that start with a slash."""

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

from miras.data.images import load_image
from miras.errors import MirasError, SessionError
from miras.files import safe_name
from miras.pages.draw import overlay, save_png
from miras.serve.talk import Answer, Load, Talker, describe, load_model, tell

if TYPE_CHECKING:
    from miras.model.quick import Decode

__all__ = ["Chat", "run_chat"]

_HELP = """\
/image PATH  talk about another photo
/mask PATH   write the last mask as a PNG, white on black
/undo        drop the last question and its answer
/save FILE   keep the conversation
/quit        leave (so does Ctrl-D); Ctrl-C stops an answer"""


class Chat:
    """One person, one model, one photo at a time; every line typed goes through `take`."""

    def __init__(self, model: Talker, image: Path, out: Path, console: Console) -> None:
        self.model, self.out, self.console = model, out, console
        self.session = model.session(load_image(image))
        self.replies: list[Answer] = []
        """Answers of the current conversation, in order."""
        self.number = _last_number(out)
        """Number of the last answer written to `out`; it grows over photos and undos, so no file is written over."""

    def take(self, line: str) -> bool:
        """Does what one line says; False when it says to leave. Raises MirasError and OSError."""
        word, _, rest = line.strip().partition(" ")
        if not word.startswith("/"):
            self.ask(line.strip())
            return True
        commands: dict[str, Callable[[str], None]] = {
            "/image": self.image, "/mask": self.mask, "/undo": self.undo, "/save": self.save, "/help": self.help,
        }  # fmt: skip
        if word == "/quit":
            return False
        if word not in commands:
            raise SessionError(f"{word} is no command; /help lists them")
        commands[word](rest.strip())
        return True

    def ask(self, question: str) -> None:
        """Asks, and writes an overlay and a mask for each target of the answer."""
        if not question:
            raise SessionError("an empty line asks nothing; type a question, or /help")
        answer = tell(self.console, self.session, question)
        self.replies.append(answer)
        self.number += 1
        for index, target in enumerate(answer.targets):
            name = f"turn{self.number:02d}_{index + 1}_{safe_name(target.phrase)}"
            painted = overlay(self.session.image, [target.mask], [target.phrase], first=index)
            path = save_png(self.out / f"{name}.png", painted)
            save_png(self.out / f"{name}_mask.png", target.mask)
            self.say(f"{describe(target)}, {path}")

    def image(self, rest: str) -> None:
        """Starts a conversation about another photo; the current one stays when that photo cannot be read."""
        path = _path(rest, "/image PHOTO.jpg")
        self.session = self.model.session(load_image(path))
        self.replies.clear()
        height, width = self.session.image.shape[:2]
        self.say(f"{path}: {width} x {height} pixels, a new conversation")

    def mask(self, rest: str) -> None:
        """Writes the masks of the last answer that has any; several get a number each."""
        path = _path(rest, "/mask MASK.png")
        marked = next((reply.targets for reply in reversed(self.replies) if reply.targets), None)
        if marked is None:
            raise SessionError("no mask yet; ask for one first")
        name = path.stem if path.suffix.lower() == ".png" else path.name
        for index, target in enumerate(marked):
            number = "" if len(marked) == 1 else f"_{index + 1}"
            self.say(str(save_png(path.with_name(f"{name}{number}.png"), target.mask)))

    def undo(self, rest: str) -> None:
        """Drops the last question and its answer."""
        self.session.undo()
        if self.replies:
            self.replies.pop()
        self.say(f"dropped the last question; {len(self.session.turns) // 2} left")

    def save(self, rest: str) -> None:
        """Keeps the conversation."""
        path = _path(rest, "/save FILE")
        self.session.save(path)
        self.say(f"saved to {path}")

    def help(self, rest: str) -> None:
        """Lists the commands."""
        self.say(_HELP)

    def say(self, text: str) -> None:
        """Prints without wrapping, so that paths can be copied."""
        self.console.print(text, style="dim", markup=False, highlight=False, emoji=False, soft_wrap=True)


def run_chat(
    image: Path,
    model: str,
    out: Path,
    *,
    decode: "Decode" = "float",
    load: Load | None = None,
    source: TextIO | None = None,
    console: Console | None = None,
) -> None:
    """Talks about an image until `/quit` or the end of `source` (standard input), masks going into `out`.

    Raises ImageError or another MirasError when the talk cannot begin; later ones are said, and the talk goes on.
    """
    console = console or Console()
    load_image(image)
    with console.status(f"loading {model}"):
        talker = load(model) if load else load_model(model, decode)
        chat = Chat(talker, image, out, console)
    if console.is_terminal:
        chat.say("Ask about the photo. /help lists the commands.")
    for line in _lines(source or sys.stdin, console):
        try:
            if not chat.take(line):
                return
        except (MirasError, OSError) as error:
            console.print(
                " ".join(str(error).split()), style="red", markup=False, highlight=False, emoji=False, soft_wrap=True
            )
        except KeyboardInterrupt:
            chat.say("stopped")


def _lines(source: TextIO, console: Console) -> Iterator[str]:
    """Lines as they are typed, with a prompt only for a person."""
    if not source.isatty():
        if isinstance(source, io.TextIOWrapper):
            source.reconfigure(errors="replace")
        yield from source
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  # gives input() editing and history; absent on Windows
    while True:
        try:
            yield input("› ")
        except EOFError:
            return
        except KeyboardInterrupt:
            console.print("\nCtrl-D or /quit leaves", style="dim", highlight=False)


def _path(words: str, usage: str) -> Path:
    """The path that a command names, which may hold spaces, quotes around it and a `~`."""
    quoted = len(words) > 1 and words[0] == words[-1] and words[0] in "'\""
    words = words[1:-1] if quoted else words
    if not words:
        raise SessionError(f"a path is missing: {usage}")
    return Path(words).expanduser()


def _last_number(out: Path) -> int:
    names = (path.name[4:].partition("_")[0] for path in out.glob("turn*_*.png"))
    return max((int(name) for name in names if name.isdecimal()), default=0)
