import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from miras.errors import ImageError
from miras.serve.chat import run_chat
from miras.serve.talk import Load


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.zeros((6, 4, 3), dtype=np.uint8)).save(path)
    return path


def talk(photo: Path, load: Load, *lines: str) -> str:
    """What is printed when these lines come through a pipe."""
    printed = io.StringIO()
    source = io.StringIO("\n".join(lines) + "\n")
    run_chat(photo, "nano", photo.parent / "out", load=load, source=source, console=Console(file=printed, width=40))
    return printed.getvalue()


def names(photo: Path) -> list[str]:
    return sorted(path.name for path in (photo.parent / "out").glob("*"))


def test_words_are_printed_without_prompts(photo: Path, load: Load) -> None:
    question = "a question that is longer than the terminal is wide"
    assert talk(photo, load, question) == f"You said {question}. \n"
    assert names(photo) == []


def test_masks_are_written_and_described(photo: Path, load: Load) -> None:
    printed = talk(photo, load, "hello", "mark front bumper, ../a/b")
    assert "It is front bumper and ../a/b." in printed and "[SEG]" not in printed
    assert (
        f"front bumper: confidence 0.83, 50.0 % of the image, {photo.parent / 'out' / 'turn02_1_front-bumper.png'}"
        in (printed)
    )
    assert names(photo) == [
        "turn02_1_front-bumper.png", "turn02_1_front-bumper_mask.png", "turn02_2_a-b.png", "turn02_2_a-b_mask.png",
    ]  # fmt: skip
    with Image.open(photo.parent / "out" / "turn02_1_front-bumper_mask.png") as mask:
        assert np.asarray(mask).tolist() == [[255] * 4] * 3 + [[0] * 4] * 3


def test_undo_drops_a_turn_and_its_mask(photo: Path, load: Load, model: Any) -> None:
    printed = talk(photo, load, "hello", "mark cat", "/undo", f"/mask {photo.parent / 'm.png'}", "/undo", "/undo")
    assert len(model.sessions[0].turns) == 0
    assert "no mask yet" in printed and "1 left" in printed and "there is no question to drop" in printed


def test_no_mask_file_is_written_over(photo: Path, load: Load) -> None:
    talk(photo, load, "mark cat", "/undo", "mark cat")
    talk(photo, load, "mark cat")
    assert [name for name in names(photo) if "mask" not in name] == [f"turn0{n}_1_cat.png" for n in (1, 2, 3)]


def test_image_starts_anew_and_a_bad_one_changes_nothing(photo: Path, load: Load, model: Any) -> None:
    other = photo.parent / "a second photo.png"
    Image.fromarray(np.zeros((2, 3, 3), dtype=np.uint8)).save(other)
    broken = photo.parent / "broken.jpg"
    broken.write_bytes(b"not an image")
    printed = talk(photo, load, "hello", "/image nowhere.jpg", f"/image {broken}", "/image", f'/image "{other}"', "hi")
    assert "no image at nowhere.jpg" in printed and "is not an image" in printed and "a path is missing" in printed
    assert "3 x 2 pixels" in printed
    assert [len(session.turns) for session in model.sessions] == [2, 2]


def test_mask_writes_the_last_masks_where_it_is_told(photo: Path, load: Load) -> None:
    folder = photo.parent / "masks"
    talk(photo, load, "mark cat", "hello", f"/mask {folder}/one.png", "mark cat, dog", f"/mask {folder}/two.v1")
    assert sorted(path.name for path in folder.iterdir()) == ["one.png", "two.v1_1.png", "two.v1_2.png"]


def test_save_writes_the_session_and_says_what_went_wrong(photo: Path, load: Load) -> None:
    kept = photo.parent / "kept"
    printed = talk(photo, load, "hello", f"/save {kept}", "/save", f"/save {photo.parent}/no/such/folder")
    assert kept.read_text() == "2 turns"
    assert f"saved to {kept}" in printed and "a path is missing" in printed and "No such file" in printed


def test_help_quit_empty_lines_and_unknown_commands(photo: Path, load: Load, model: Any) -> None:
    printed = talk(photo, load, "", "   ", "/nonsense", "/help", "/quit", "never asked")
    assert printed.count("an empty line asks nothing") == 2
    assert "/nonsense is no command" in printed and "/undo" in printed
    assert model.sessions[0].turns == ()


@pytest.mark.parametrize("moment", ["crash", "crash late"])
def test_ctrl_c_stops_one_answer_only(photo: Path, load: Load, model: Any, moment: str) -> None:
    printed = talk(photo, load, "before", moment, "after")
    assert "\nstopped\n" in printed and "You said after." in printed
    assert [turn.text for turn in model.sessions[0].turns[::2]] == ["before", "after"]


def test_a_bad_first_image_is_refused_before_the_model_loads(photo: Path) -> None:
    def load(name: str) -> Any:
        raise AssertionError("the model was loaded")

    with pytest.raises(ImageError, match=r"no image at .*gone\.png"):
        talk(photo.parent / "gone.png", load)


def test_bytes_that_are_no_text_do_not_end_the_talk(photo: Path, load: Load) -> None:
    printed = io.StringIO()
    source = io.TextIOWrapper(io.BytesIO(b"caf\xe9\nhello\n"), encoding="utf-8")
    run_chat(photo, "nano", photo.parent / "out", load=load, source=source, console=Console(file=printed))
    assert "You said hello." in printed.getvalue()


def test_a_person_gets_a_prompt_and_ctrl_d_leaves(
    photo: Path, load: Load, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    typed: list[str | type[BaseException]] = [EOFError, "hello", KeyboardInterrupt]

    def answer(prompt: str) -> str:
        assert prompt == "› "
        if isinstance(line := typed.pop(), str):
            return line
        raise line

    monkeypatch.setattr("builtins.input", answer)
    console = Console(file=io.StringIO())
    run_chat(photo, "nano", photo.parent / "out", load=load, source=Terminal(), console=console)
    assert typed == [] and len(model.sessions[0].turns) == 2


def test_markup_and_control_characters_are_shown_as_text(photo: Path, load: Load) -> None:
    assert "You said [red]\U0001f600 :smile: [31m[/red]." in talk(photo, load, "[red]\U0001f600 :smile: \x1b[31m[/red]")
