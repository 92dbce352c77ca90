"""Teachers: the annotations' own, and the steps of a model that sees."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.generate import seer
from tests.llm.loopback import Loopback, running

from miras.data.photos import Photo, load_photos
from miras.data.prist import problems, to_dialogue
from miras.generate.images import Picture, listed
from miras.generate.job import Job
from miras.generate.teachers import AnnotationTeacher, Taught, broken_rule
from miras.llm.client import Endpoint
from miras.llm.store import Store


def _taught(photo: Photo, seed: int = 0) -> Taught:
    teacher = AnnotationTeacher({photo.name: photo}, seed)
    return asyncio.run(teacher.teach(Picture(photo.name, photo.path)))


def test_annotations_are_told_with_their_masks(garage: Photo) -> None:
    taught = _taught(garage)
    assert taught == _taught(garage) and 2 <= len(taught.dialogues) <= 4
    known = {thing.phrase: thing.mask for thing in garage.objects}
    for told in taught.plain()["records"]:
        assert not [*problems(told)] and told["mask"] == known[told["focus"]]
        assert told["license"] == "CC0" and "single" not in told
    assert len({dialogue.focus for dialogue in taught.dialogues}) == len(taught.dialogues)
    [alone] = _taught(replace(garage, objects=garage.objects[:1])).plain()["records"]
    assert alone["single"] is True and alone["focus"] == "left mirror"


def test_real_photos_give_valid_dialogues(shared_photos: Path) -> None:
    photos = load_photos(shared_photos, "val")
    for photo in photos:
        taught = _taught(photo)
        wanted = min(4, len({thing.mask["counts"] for thing in photo.objects}))
        assert len(taught.dialogues) + len(taught.rejected) >= wanted
        for told in taught.plain()["records"]:
            assert not [*problems(told)] and broken_rule(to_dialogue(told)) is None


def _ask_model(server: Loopback, folder: Path, images: Path, seed: int = 0) -> list[Taught]:
    """What a model teaches of each image."""
    endpoint = Endpoint("seer", server.url, tries=4, timeout=10)
    job = Job("seer", images, folder, seed=seed, endpoint=endpoint)

    async def work() -> list[Taught]:
        with Store(folder / "run.sqlite") as store:
            async with job.open_teacher(store) as (teacher, _):
                return [await teacher.teach(picture) for picture in listed(images)]

    return asyncio.run(work())


def test_the_steps_give_valid_dialogues(server: Loopback, tmp_path: Path, make_images: Callable[[int], Path]) -> None:
    server.seen = []
    taught = _ask_model(server, tmp_path, make_images(12))
    dialogues = [dialogue for one in taught for dialogue in one.dialogues]
    assert len(dialogues) >= 20
    for dialogue in dialogues:
        assert broken_rule(dialogue) is None and dialogue.focus is not None
        element = dialogue.meta["element"]
        assert dialogue.focus == f"the brown {element}" and dialogue.turns[-1].text.count("[SEG]") == 1
        assert f"[OBJ]{dialogue.focus}[SEG]" in dialogue.turns[-1].text
        assert dialogue.meta["teacher"] == "seer" and dialogue.meta["question"].endswith("?")
    assert {len(dialogue.questions) for dialogue in dialogues} <= {4, 5, 6, 7}
    for one in taught:
        assert 2 <= len(one.dialogues) + len(one.rejected) <= 4
    with_image = [json.dumps(request).count("data:image/jpeg;base64,") for request in server.seen]
    assert set(with_image) == {0, 1}  # only the score of a question is given without looking


def _spoiled(step: str, content: dict[str, Any]) -> Callable[[dict[str, Any]], str]:
    """The stand-in, with one answer to all that is asked at one step."""

    def reply(request: dict[str, Any]) -> str:
        asked = json.dumps(request["messages"])
        return json.dumps(content) if seer.OPENINGS[step] in asked else seer.reply(request)

    return reply


@pytest.mark.parametrize(
    ("step", "content", "ended", "rule"),
    [
        ("elements", {"elements": []}, "elements", "too few"),
        ("question", {"question": "Where is it"}, "question", "no question"),
        ("score", {"reason": "Dull.", "score": 1}, "question", "score"),
        ("tree", {"root_node": "r", "inference_nodes": []}, "tree", "schema"),
        ("dialogue", {"rounds": [], "focus": "x"}, "dialogue", "rounds"),
        ("feedback", {"wrong": ["no"], "drop": [], "verdict": "reject"}, "dialogue", "feedback"),
        ("feedback", {"wrong": ["no"], "drop": [], "verdict": "repair"}, "dialogue", "feedback"),
    ],
)
def test_what_fails_is_rejected_by_its_rule(
    step: str, content: dict[str, Any], ended: str, rule: str, tmp_path: Path, make_images: Callable[[int], Path]
) -> None:
    with running(Loopback(_spoiled(step, content))) as server:
        [taught] = _ask_model(server, tmp_path, make_images(1))
    assert not taught.dialogues
    assert {(one.step, one.rule) for one in taught.rejected} == {(ended, rule)}
    assert 1 <= len(taught.rejected) <= 4 and all(one.reason for one in taught.rejected)


def test_an_image_that_cannot_be_read_is_rejected(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    [taught] = _ask_model(server, tmp_path, tmp_path / "images")
    [rejected] = taught.rejected
    assert (rejected.step, rejected.rule) == ("image", "unreadable") and "broken.jpg" in rejected.reason
    assert not server.requests


def test_the_seed_decides_what_is_asked(server: Loopback, tmp_path: Path, make_images: Callable[[int], Path]) -> None:
    images = make_images(6)
    one = _ask_model(server, tmp_path / "a", images)
    assert one == _ask_model(server, tmp_path / "b", images) != _ask_model(server, tmp_path / "c", images, seed=1)
