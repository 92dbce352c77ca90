"""Runs against a server on loopback: what it is sent, known boxes as known masks, and nothing asked twice."""

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.evaluate.baselines.boxer import answers_of, command, reply, run, words
from tests.evaluate.baselines.test_decoder import Marks
from tests.evaluate.written import LEFT, TOP, case_lines, drawn, write_lines
from tests.llm.loopback import Loopback, running
from typer.testing import CliRunner

from miras.cli import app
from miras.data.masks import box, decode
from miras.data.photos import load_photos
from miras.evaluate.cases import Case, read_cases, write_cases
from miras.metrics.masks import mask_iou
from miras.model.miras import Miras
from miras.types import Dialogue, Target, Turn

BOXES = {
    "pixels": {"LEFT": "(0, 0), (2, 4)", "TOP": "(0, 0), (4, 2)"},
    "unit": {"LEFT": "(0.0, 0.0), (0.5, 1.0)", "TOP": "(0, 0), (1, 0.5)"},
    "thousand": {"LEFT": "(0, 0), (500, 1000)", "TOP": "(0, 0), (1000, 500)"},
}


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """Two cases on images of 4 x 4 pixels."""
    (tmp_path / "i").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (4, 4), "navy").save(tmp_path / "i" / name)
    lines = case_lines()
    lines[0]["images"] = str(tmp_path / "i")
    return write_lines(tmp_path / "cases.jsonl", lines)


@pytest.mark.parametrize("system", BOXES)
def test_known_boxes_give_known_masks(system: str, halves: Path, tmp_path: Path) -> None:
    said = BOXES[system]

    def boxer(request: dict[str, Any]) -> str:
        asked = words(request["messages"][-1])
        if "cup and plate" in asked:
            return f"<box>{said['LEFT']}</box> and <ref>plate</ref><box>{said['TOP']}</box> "
        return f"<box>{said['LEFT']}</box> " if "<box>" in asked else "The cat."

    with running(Loopback(boxer)) as server:
        told = run(*command(server, halves, tmp_path / "run"))
    answers = answers_of(halves, tmp_path / "run")
    cat, both = answers
    assert [said.text for said in cat.turns] == ["The cat.", f"<box>{said['LEFT']}</box> "]
    assert cat.turns[0].masks == () and [mark.mask for mark in cat.turns[1].masks] == [LEFT]
    assert [(mark.phrase, mark.mask) for mark in both.turns[0].masks] == [("", LEFT), ("plate", TOP)]
    about = answers.about
    assert about["coordinates"]["system"] == (system if system != "unit" else None)
    assert about["coordinates"]["unit"] == (3 if system == "unit" else 0)
    assert about["replies"]["box"] == about["replies"]["several"] == 1 and "several 1" in told
    assert about["masks"] == "boxes as they are" and about["text_turns"] == "without_last"
    assert (
        about["history"] == "own" and about["model"] == "boxer" and about["cases_sha256"] == read_cases(halves).sha256
    )


def test_the_image_is_sent_once_and_the_box_asked_for_where_something_is_marked(halves: Path, tmp_path: Path) -> None:
    sent = {}
    for history in ("own", "gold", "none"):
        with running(Loopback(lambda request: "Hm, no detected.", seen=[])) as server:
            run(*command(server, halves, tmp_path / history, "--history", history))
            assert server.seen is not None
            [sent[history]] = [one for one in server.seen if "Mark it." in words(one["messages"][-1])]
            assert not any("response_format" in one for one in server.seen)
            first = next(one for one in server.seen if words(one["messages"][-1]) == "Who meows?")
            assert len(first["messages"]) == 1  # no prompt for a box where nothing is marked
    for request in sent.values():
        shown = [[part["type"] for part in one["content"]] for one in request["messages"]
                 if isinstance(one["content"], list)]  # fmt: skip
        assert shown == [["image_url", "text"]]
        last = words(request["messages"][-1])
        assert last.startswith("Mark it.\n") and "<box>(x1, y1), (x2, y2)</box>" in last and "no detected" in last
    said = {name: [words(one) for one in request["messages"][:-1]] for name, request in sent.items()}
    assert said == {"own": ["Who meows?", "Hm, no detected."], "gold": ["Who meows?", "The cat."], "none": []}


def test_a_run_is_of_one_kind_and_coordinates_may_be_told_later(halves: Path, tmp_path: Path) -> None:
    with running(Loopback(lambda request: "<box>(0, 0), (2, 2)</box>")) as server:
        big = tmp_path / "big"
        big.mkdir()
        for name in ("a.png", "b.png"):
            Image.new("RGB", (1000, 1000)).save(big / name)
        lines = case_lines()
        for line in lines[1:]:
            for turn in line["turns"]:
                turn["targets"] = [{**target, "mask": None} for target in turn["targets"]]
        cases = write_lines(tmp_path / "unknown.jsonl", lines)
        begun = command(server, cases, tmp_path / "run", "--images", str(big))
        done = CliRunner().invoke(app, begun)
        assert done.exit_code == 2 and "start again with --coordinates" in " ".join(done.output.split())
        assert not (tmp_path / "run" / "predictions.jsonl").exists()
        asked = sum(server.requests.values())
        run(*begun, "--coordinates", "pixels")
        assert sum(server.requests.values()) == asked
        about = answers_of(cases, tmp_path / "run").about
        assert about["coordinates"]["asked"] == "pixels" and about["coordinates"]["log_odds"] is None
        done = CliRunner().invoke(app, [*begun, "--history", "gold"])
        assert done.exit_code == 2 and "begun otherwise (history 'own' → 'gold')" in " ".join(done.output.split())


def test_masks_are_made_anew_without_asking_again(
    halves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Miras, "from_pretrained", lambda *_, **__: Marks())
    with running(Loopback(lambda request: "<ref>a cat</ref><box>(0, 0), (2, 4)</box>")) as server:
        begun = command(server, halves, tmp_path / "run")
        run(*begun)
        asked = sum(server.requests.values())
        run(*begun, "--masks", "decoder")
        assert sum(server.requests.values()) == asked
    answers = answers_of(halves, tmp_path / "run")
    [mark] = answers[0].turns[1].masks
    assert mark.mask == drawn("##..", "##..", "....", "....") and mark.phrase == "a cat"
    assert answers.about["masks"] == "nano's mask of the baseline's words inside the box"
    assert answers.about["replies"]["boxes_as_they_are"] == 0 and answers.about["replies"]["boxes"] == 2


def test_what_a_server_does_not_take_is_an_empty_answer(halves: Path, tmp_path: Path) -> None:
    with running(Loopback(lambda request: "<box>(0, 0), (2, 4)</box>", rejects="cup and plate")) as server:
        run(*command(server, halves, tmp_path / "run", "--at-once", "1"))
        cat, both = answers = answers_of(halves, tmp_path / "run")
    assert both.turns[0].text == "" and both.turns[0].masks == () and cat.turns[1].masks
    assert answers.about["replies"]["refused_by_server"] == 1
    with running(Loopback(lambda request: "", rejects="image_url")) as server:  # nothing is taken: that is no answer
        done = CliRunner().invoke(app, command(server, halves, tmp_path / "blind"))
        assert done.exit_code == 2 and "it has answered nothing so far" in " ".join(done.output.split())


def test_images_are_looked_for_before_anything_is_asked(halves: Path, tmp_path: Path) -> None:
    with running(Loopback(reply)) as server:
        (tmp_path / "i" / "b.png").unlink()
        done = CliRunner().invoke(app, command(server, halves, tmp_path / "run"))
        assert done.exit_code == 2 and "1 of 2 images are missing" in " ".join(done.output.split())
        Image.new("RGB", (4, 5)).save(tmp_path / "i" / "b.png")
        done = CliRunner().invoke(app, command(server, halves, tmp_path / "run"))
        assert "for (4, 4) pixels (height, width), its image" in " ".join(done.output.split())
        lines, asked = case_lines(), sum(server.requests.values())
        lines[0] |= {"images": None}
        lines[1]["image"] = lines[2]["image"] = None
        run(*command(server, write_lines(tmp_path / "blind.jsonl", lines), tmp_path / "blind"))
        assert sum(server.requests.values()) == asked
    answers = answers_of(tmp_path / "blind.jsonl", tmp_path / "blind")
    assert answers.about["replies"]["cases_without_image"] == 2
    assert all(said.text == "" and not said.masks for one in answers for said in one.turns)


@pytest.mark.parametrize("system", BOXES)
def test_true_boxes_of_photos_come_back_at_any_size_sent(system: str, shared_photos: Path, tmp_path: Path) -> None:
    photos = load_photos(shared_photos, "val")[:12]
    cases, boxes = [], {}
    for index, photo in enumerate(photos):
        target = photo.objects[0]
        true = decode(target.mask)
        left, top, right, bottom = box(true) or (0, 0, 1, 1)
        height, width = true.shape
        shares = left / width, top / height, right / width, bottom / height
        boxes[str(index)] = target.mask, (left, top, right, bottom), shares
        turns = Turn("user", f"Mark number {index}."), Turn("assistant", "[OBJ]it[SEG]")
        image = str(photo.path.relative_to(shared_photos))
        cases.append(Case(str(index), Dialogue(turns, (Target("it", target.mask),), image=image)))
    file = tmp_path / "cases.jsonl"
    write_cases(file, {"benchmark": "photos", "images": str(shared_photos)}, cases)

    def boxer(request: dict[str, Any]) -> str:
        asked = words(request["messages"][-1])
        shares = boxes[asked.split("number ")[1].split(".")[0]][2]
        width, height = _size_sent(request)
        sides = {"pixels": (width, height), "unit": (1, 1), "thousand": (1000, 1000)}[system]
        x1, y1, x2, y2 = (round(share * side, 3) for share, side in zip(shares, sides * 2, strict=True))
        return f"<box>({x1}, {y1}), ({x2}, {y2})</box> "

    with running(Loopback(boxer)) as server:
        run(*command(server, file, tmp_path / "run", "--longest", "200"))
    answers = answers_of(file, tmp_path / "run")
    for answer in answers:
        mask, (left, top, right, bottom), _ = boxes[answer.id]
        full = decode(mask) & False
        full[top:bottom, left:right] = True
        [mark] = answer.turns[0].masks
        assert mask_iou(decode(mark.mask), full) > 0.99 and mark.mask["size"] == mask["size"]


def _size_sent(request: dict[str, Any]) -> tuple[int, int]:
    """(width, height) of the image in a request, which is at most 200 pixels a side."""
    uri = request["messages"][0]["content"][0]["image_url"]["url"]
    image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert max(image.size) <= 200
    return image.size
