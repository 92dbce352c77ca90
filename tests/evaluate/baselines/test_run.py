"""Runs against a server on loopback: what it is sent, known boxes as known masks, and nothing asked twice."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.evaluate.baselines.boxer import reply, words
from tests.evaluate.written import LEFT, TOP, case_lines, write_lines
from tests.llm.loopback import FAULTS, Loopback, running
from typer.testing import CliRunner

from miras.cli import app
from miras.data.masks import box, decode, encode
from miras.data.photos import load_photos
from miras.evaluate.cases import Case, read_cases, write_cases
from miras.evaluate.predictions import Predictions, read_predictions
from miras.llm.store import Store
from miras.metrics.masks import mask_iou
from miras.types import Dialogue, Target, Turn

BOXES = {
    "pixels": {"LEFT": "(0, 0), (2, 4)", "TOP": "(0, 0), (4, 2)"},
    "unit": {"LEFT": "(0.0, 0.0), (0.5, 1.0)", "TOP": "(0, 0), (1, 0.5)"},
    "thousand": {"LEFT": "(0, 0), (500, 1000)", "TOP": "(0, 0), (1000, 500)"},
}
Write = Callable[[], Path]


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """Two cases on images of 4 x 4 pixels."""
    (tmp_path / "i").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (4, 4), "navy").save(tmp_path / "i" / name)
    lines = case_lines()
    lines[0]["images"] = str(tmp_path / "i")
    return write_lines(tmp_path / "cases.jsonl", lines)


def _command(server: Loopback, cases: Path, out: Path, *more: str) -> list[str]:
    given = {"--cases": str(cases), "--server": server.url, "--out": str(out), "--timeout": "20"}
    return ["evaluate", "baseline", "boxer", *(word for pair in given.items() for word in pair), *more]


def _run(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output


def _answers(cases: Path, out: Path) -> Predictions:
    assert (out / "cases.jsonl").read_bytes() == cases.read_bytes()
    return read_predictions(out / "predictions.jsonl", read_cases(out / "cases.jsonl"))


@pytest.mark.parametrize("system", BOXES)
def test_known_boxes_give_known_masks(system: str, halves: Path, tmp_path: Path) -> None:
    said = BOXES[system]

    def boxer(request: dict[str, Any]) -> str:
        asked = words(request["messages"][-1])
        if "cup and plate" in asked:
            return f"<box>{said['LEFT']}</box> and <ref>plate</ref><box>{said['TOP']}</box> "
        return f"<box>{said['LEFT']}</box> " if "<box>" in asked else "The cat."

    with running(Loopback(boxer)) as server:
        told = _run(*_command(server, halves, tmp_path / "run"))
    answers = _answers(halves, tmp_path / "run")
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
            _run(*_command(server, halves, tmp_path / history, "--history", history))
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
        command = _command(server, cases, tmp_path / "run", "--images", str(big))
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 2 and "start again with --coordinates" in " ".join(done.output.split())
        assert not (tmp_path / "run" / "predictions.jsonl").exists()
        asked = sum(server.requests.values())
        _run(*command, "--coordinates", "pixels")
        assert sum(server.requests.values()) == asked
        about = _answers(cases, tmp_path / "run").about
        assert about["coordinates"]["asked"] == "pixels" and about["coordinates"]["log_odds"] is None
        done = CliRunner().invoke(app, [*command, "--history", "gold"])
        assert done.exit_code == 2 and "begun otherwise (history 'own' → 'gold')" in " ".join(done.output.split())


def test_what_a_server_does_not_take_is_an_empty_answer(halves: Path, tmp_path: Path) -> None:
    with running(Loopback(lambda request: "<box>(0, 0), (2, 4)</box>", rejects="cup and plate")) as server:
        _run(*_command(server, halves, tmp_path / "run", "--at-once", "1"))
        cat, both = answers = _answers(halves, tmp_path / "run")
    assert both.turns[0].text == "" and both.turns[0].masks == () and cat.turns[1].masks
    assert answers.about["replies"]["refused_by_server"] == 1
    with running(Loopback(lambda request: "", rejects="image_url")) as server:  # nothing is taken: that is no answer
        done = CliRunner().invoke(app, _command(server, halves, tmp_path / "blind"))
        assert done.exit_code == 2 and "was not taken: " in " ".join(done.output.split())


def test_images_are_looked_for_before_anything_is_asked(halves: Path, tmp_path: Path) -> None:
    with running(Loopback(reply)) as server:
        (tmp_path / "i" / "b.png").unlink()
        done = CliRunner().invoke(app, _command(server, halves, tmp_path / "run"))
        assert done.exit_code == 2 and "1 of 2 images are missing" in " ".join(done.output.split())
        Image.new("RGB", (4, 5)).save(tmp_path / "i" / "b.png")
        done = CliRunner().invoke(app, _command(server, halves, tmp_path / "run"))
        assert "for (4, 4) pixels (height, width), its image" in " ".join(done.output.split())
        lines, asked = case_lines(), sum(server.requests.values())
        lines[0] |= {"images": None}
        lines[1]["image"] = lines[2]["image"] = None
        _run(*_command(server, write_lines(tmp_path / "blind.jsonl", lines), tmp_path / "blind"))
        assert sum(server.requests.values()) == asked
    answers = _answers(tmp_path / "blind.jsonl", tmp_path / "blind")
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
        _run(*_command(server, file, tmp_path / "run", "--longest", "200"))
    answers = _answers(file, tmp_path / "run")
    for answer in answers:
        mask, (left, top, right, bottom), _ = boxes[answer.id]
        full = decode(mask) & False
        full[top:bottom, left:right] = True
        [mark] = answer.turns[0].masks
        assert mask_iou(decode(mark.mask), full) > 0.99 and mark.mask["size"] == mask["size"]


def _size_sent(request: dict[str, Any]) -> tuple[int, int]:
    """(width, height) of the image in a request, which is at most 200 pixels a side."""
    import base64
    import io

    uri = request["messages"][0]["content"][0]["image_url"]["url"]
    image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert max(image.size) <= 200
    return image.size


def _many(folder: Path, count: int) -> Path:
    """Cases of three turns each, the last of which marks something, on one image of 8 x 8 pixels."""
    Image.new("RGB", (8, 8), "teal").save(folder / "x.png")
    mask = encode(decode(LEFT).repeat(2, 0).repeat(2, 1))
    asked = [("What is it?", "A thing."), ("Where?", "Left."), ("Mark it.", "[OBJ]thing[SEG]")]

    def case(index: int) -> Case:
        turns = [turn for question, answer in asked
                 for turn in (Turn("user", f"{question} ({index})"), Turn("assistant", answer))]  # fmt: skip
        return Case(f"case {index}", Dialogue(tuple(turns), (Target("thing", mask),), image="x.png"))

    write_cases(folder / "many.jsonl", {"benchmark": "many", "images": str(folder)}, map(case, range(count)))
    return folder / "many.jsonl"


def test_faults_change_nothing_and_what_is_finished_is_not_asked_again(tmp_path: Path) -> None:
    cases = _many(tmp_path, 25)
    faults = {name: 0.05 for name in FAULTS if name != "rules"}
    with running(Loopback(reply, faults=faults)) as server:
        _run(*_command(server, cases, tmp_path / "run"))
        assert {name for name, struck in server.struck.items() if struck} >= {"", "busy", "error"}
        assert sum(server.answered.values()) == 75
        asked, before = sum(server.requests.values()), (tmp_path / "run" / "predictions.jsonl").read_bytes()
        _run(*_command(server, cases, tmp_path / "run"))
        assert sum(server.requests.values()) == asked
    assert (tmp_path / "run" / "predictions.jsonl").read_bytes().split(b"\n")[1:] == before.split(b"\n")[1:]


@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_killed_and_resumed_it_equals_an_undisturbed_run(kills: int, tmp_path: Path) -> None:
    at_once = 4
    with running(Loopback(reply, latency=0.05)) as server:
        cases = _many(tmp_path, 40 * kills)
        command = _command(server, cases, tmp_path / "killed", "--at-once", str(at_once))
        whole = [sys.executable, "-c", "from miras.cli import app; app()", *command]
        in_flight = stored = 0
        for turn in range(kills):
            before = sum(server.requests.values())
            process = subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while sum(server.requests.values()) < before + 20 + 7 * turn:
                time.sleep(0.01)
                assert process.poll() is None, "it ended before it was killed"
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(0.2)  # what was sent arrives
            with Store(tmp_path / "killed" / "run.sqlite") as store:
                replies, _, _ = store.spent()
            in_flight += sum(server.requests.values()) - before - (replies - stored)  # asked and not kept
            stored = replies
            assert not (tmp_path / "killed" / "predictions.jsonl").exists()
        _run(*command)
        repeated = sum(count - 1 for count in server.requests.values())
        assert repeated <= in_flight <= kills * at_once
        assert len(server.requests) == 3 * 40 * kills
        _run(*_command(server, cases, tmp_path / "calm"))
    killed, calm = (_answers(cases, tmp_path / name) for name in ("killed", "calm"))
    assert [_timeless(one) for one in killed] == [_timeless(one) for one in calm]


def _timeless(answer: Any) -> Any:
    return [(said.text, said.masks) for said in answer.turns]


def test_ctrl_c_keeps_what_is_answered(tmp_path: Path) -> None:
    cases = _many(tmp_path, 60)
    with running(Loopback(reply, latency=0.05)) as server:
        whole = [sys.executable, "-c", "from miras.cli import app; app()"]
        command = [*whole, *_command(server, cases, tmp_path / "run", "--at-once", "4")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while len(server.requests) < 40:
                time.sleep(0.01)
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in told and "the same command goes on from here" in told
    with Store(tmp_path / "run" / "run.sqlite") as store:
        assert 0 < len(store.finished()) < 60
        assert json.loads(store.note("settings") or "")["model"] == "boxer"
