import io
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from miras.data.images import load_image
from miras.data.masks import encode
from miras.errors import DataError
from miras.serve import demo
from miras.serve.demo import Script, load_scripts, run_demo
from miras.serve.record import read_record
from miras.serve.talk import Load


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replaces the bundled questions by those given, all on the photo of the cat."""

    def replace(*talks: tuple[str, ...]) -> None:
        known = tuple(Script(f"Talk {n} <b>&", "cat.jpg", "by [no] one", talk) for n, talk in enumerate(talks))
        monkeypatch.setattr(demo, "load_scripts", lambda: known)

    return replace


def show(out: Path, load: Load) -> str:
    """What the demo prints."""
    printed = io.StringIO()
    assert run_demo(out, load=load, console=Console(file=printed, width=60)) == out / "index.html"
    return printed.getvalue()


def test_bundled_conversations_are_short_and_end_in_a_request_that_points_back() -> None:
    scripts = load_scripts()
    assert 2 <= len(scripts) <= 3
    credits = files("miras.serve").joinpath("photos/CREDITS.md").read_text(encoding="utf-8")
    for script in scripts:
        assert 3 <= len(script.questions) <= 5
        assert f"`{script.photo}`" in credits
        photo = files("miras.serve").joinpath("photos", script.photo).read_bytes()
        assert len(photo) < 120_000 and max(load_image(photo).shape) <= 640
        assert not any(word in " ".join(script.questions) for word in ("hair", "cat", "cup", "[SEG]"))


def test_everything_is_written_and_said(tmp_path: Path, load: Load, scripts: Callable[..., None]) -> None:
    scripts(("what [is] it?", "mark the cat, a/ué"), ("nothing",))
    printed = show(tmp_path / "out", load)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "cat.jpg", "conversation.json", "index.html", "talk1_2_1_the-cat.png", "talk1_2_1_the-cat_mask.png",
        "talk1_2_2_a-ue.png", "talk1_2_2_a-ue_mask.png",
    ]  # fmt: skip
    assert "You    what [is] it?" in printed and "MIRAS  You said what [is] it?." in printed
    assert "● the cat: confidence 0.83" in printed and "no mask in this conversation" in printed
    assert "2 masks in 2 conversations" in printed and f"{tmp_path / 'out' / 'index.html'}" in printed


def test_two_talks_about_one_photo_keep_their_masks_apart(
    tmp_path: Path, load: Load, scripts: Callable[..., None]
) -> None:
    scripts(("mark cat",), ("mark cat",))
    show(tmp_path, load)
    assert len(list(tmp_path.glob("*_mask.png"))) == 2


def test_the_json_holds_what_was_said_and_marked(
    tmp_path: Path, load: Load, model: Any, scripts: Callable[..., None]
) -> None:
    scripts(("hello", "mark cat"))
    show(tmp_path, load)
    record = read_record(tmp_path / "conversation.json")
    assert record.model == "nano"
    (talk,) = record.conversations
    assert talk.size == (300, 451) and talk.photo == "cat.jpg" and talk.seconds == 0.5
    assert talk.exchanges[0].targets == () and talk.exchanges[0].plain == "You said hello."
    assert talk.exchanges[1].answer == "It is [OBJ]cat[SEG]." and talk.exchanges[1].question == "mark cat"
    (target,) = talk.exchanges[1].targets
    with Image.open(tmp_path / target.mask_image) as mask:
        assert encode(np.asarray(mask) > 0) == target.mask
    assert (target.phrase, target.score, target.share) == ("cat", 0.83, 0.5)
    assert json.loads((tmp_path / "conversation.json").read_text())["conversations"][0]["size"] == [300, 451]


def test_the_page_is_well_formed_and_points_only_at_its_own_files(
    tmp_path: Path, load: Load, scripts: Callable[..., None]
) -> None:
    scripts(("<script>alert(1)</script> \x1b", "mark the cat"))
    page = ElementTree.parse(run_demo(tmp_path, load=load, console=Console(file=io.StringIO()))).getroot()
    links = [node.get("src") or node.get("href") for node in page.iter() if node.get("src") or node.get("href")]
    assert len(links) == 4 and all(link and (tmp_path / link).is_file() for link in links)
    assert not list(page.iter("script"))


@pytest.mark.parametrize("crash", ["crash", "crash late"])
def test_an_interrupted_demo_leaves_no_trace(
    tmp_path: Path, load: Load, scripts: Callable[..., None], crash: str
) -> None:
    scripts(("mark cat",), (crash,))
    with pytest.raises(KeyboardInterrupt):
        show(tmp_path / "new", load)
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "index.html").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        show(tmp_path / "old", load)
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["index.html"]
    assert (tmp_path / "old" / "index.html").read_text() == "old"


def test_other_files_of_the_folder_stay_and_older_pictures_go(
    tmp_path: Path, load: Load, scripts: Callable[..., None]
) -> None:
    scripts(("mark cat",))
    (tmp_path / "talk_to_me.png").write_text("mine")
    (tmp_path / "talk1_3_1_dog.png").write_text("of a demo with other weights")
    show(tmp_path, load)
    assert (tmp_path / "talk_to_me.png").read_text() == "mine"
    assert not (tmp_path / "talk1_3_1_dog.png").exists() and list(tmp_path.glob("talk1_*_cat.png"))


def test_a_file_in_the_way_is_refused_before_the_model_loads(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    def load(name: str) -> Any:
        raise AssertionError("the model was loaded")

    with pytest.raises(DataError, match="is a file"):
        run_demo(tmp_path / "file", load=load, console=Console(file=io.StringIO()))
