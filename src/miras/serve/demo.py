"""The scripted demo: conversations about bundled photos that end in masks, shown as the model says them."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import yaml
from rich.console import Console
from rich.markup import escape

from miras.data.images import load_image
from miras.data.masks import encode
from miras.errors import DataError
from miras.files import safe_name
from miras.pages.draw import overlay, save_png
from miras.serve.gallery import write_gallery
from miras.serve.record import Exchange, MarkedTarget, Record, TalkRecord, write_record
from miras.serve.talk import Answer, Conversation, Load, Talker, describe, load_model, tell

__all__ = ["Script", "load_scripts", "run_demo"]

_PICTURES = "talk[0-9]*_[0-9]*_[0-9]*_*.png"


@dataclass(frozen=True)
class Script:
    """What a person asks about one bundled photo."""

    title: str
    photo: str
    """File name within `photos/`."""
    credit: str
    questions: tuple[str, ...]


def load_scripts() -> tuple[Script, ...]:
    """The bundled conversations, in order. Raises DataError when one lacks a field."""
    rows = yaml.safe_load(files("miras.serve").joinpath("photos/demo.yaml").read_text(encoding="utf-8"))
    try:
        return tuple(Script(row["title"], row["photo"], row["credit"], tuple(row["questions"])) for row in rows)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"photos/demo.yaml needs title, photo, credit, questions in each item; missing {error}"
        ) from error


def run_demo(out: Path, model: str = "nano", *, load: Load = load_model, console: Console | None = None) -> Path:
    """Holds every scripted conversation and writes photos, masks, `conversation.json` and `index.html` into `out`.

    Files reach `out` only when all is done, the page last; an interrupted run leaves `out` as it was. Returns the
    page's path.
    """
    console = console or Console()
    scripts = load_scripts()
    with _staged(out) as stage:
        with console.status(f"loading {model}"):
            talker = load(model)
        talks = tuple(_hold(talker, script, f"talk{n}", stage, console) for n, script in enumerate(scripts, 1))
        write_gallery(write_record(stage / "conversation.json", Record(model, talks)))
    masks = sum(len(exchange.targets) for talk in talks for exchange in talk.exchanges)
    page = out / "index.html"
    seconds = sum(talk.seconds for talk in talks)
    console.print(
        f"\n[bold]{masks} {'mask' if masks == 1 else 'masks'}[/bold] in {len(talks)} conversations, "
        f"{seconds:.1f} s of answers. Open [bold]{escape(str(page))}[/bold]",
        highlight=False, emoji=False, soft_wrap=True,
    )  # fmt: skip
    return page


@contextlib.contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """A hidden folder inside `out` whose files move up, the page last, when the block ends well; gone in any case.

    Pictures of an older demo go. `out` itself stays where it is: it may be a mount point, or where the user stands.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"the demo writes into a folder, {out} is a file; name another place")
    fresh = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=".demo-", dir=out))
    try:
        yield stage
        for path in out.glob(_PICTURES):
            path.unlink()
        for path in sorted(
            stage.iterdir(), key=lambda path: (path.suffix in (".json", ".html"), path.suffix == ".html")
        ):
            path.replace(out / path.name)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if fresh:
            with contextlib.suppress(OSError):  # not empty: it holds what was asked for
                out.rmdir()


def _hold(talker: Talker, script: Script, name: str, stage: Path, console: Console) -> TalkRecord:
    photo = files("miras.serve").joinpath("photos", script.photo).read_bytes()
    stage.joinpath(script.photo).write_bytes(photo)
    session = talker.session(load_image(photo))
    console.rule(f"[bold]{escape(script.title)}[/bold]")
    exchanges = []
    for number, question in enumerate(script.questions, 1):
        console.print(
            f"\n[bold cyan]You[/bold cyan]    {escape(question)}", highlight=False, emoji=False, soft_wrap=True
        )
        console.print("[bold green]MIRAS[/bold green]  ", end="")
        answer = tell(console, session, question)
        targets = _save_targets(answer, session, stage, f"{name}_{number}")
        for target in answer.targets:
            console.print(
                f"       ● {escape(describe(target))}", style="dim", highlight=False, emoji=False, soft_wrap=True
            )
        exchanges.append(Exchange(question, answer.text, answer.plain, round(answer.seconds, 3), targets))
    if not any(exchange.targets for exchange in exchanges):
        console.print("       no mask in this conversation", style="dim")
    height, width = session.image.shape[:2]
    return TalkRecord(script.title, script.photo, (height, width), tuple(exchanges), script.credit)


def _save_targets(answer: Answer, session: Conversation, stage: Path, prefix: str) -> tuple[MarkedTarget, ...]:
    saved = []
    for index, target in enumerate(answer.targets):
        name = f"{prefix}_{index + 1}_{safe_name(target.phrase)}"
        painted = overlay(session.image, [target.mask], [target.phrase], first=index)
        shown = save_png(stage / f"{name}.png", painted)
        mask = save_png(stage / f"{name}_mask.png", target.mask)
        score = round(float(target.score), 4)
        saved.append(MarkedTarget(target.phrase, score, encode(target.mask), shown.name, mask.name))
    return tuple(saved)
