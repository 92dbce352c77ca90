"""Conversations over HTTP."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

from miras.data.masks import decode, encode

Say = Callable[..., Any]


def test_a_conversation_is_opened_asked_and_closed(client: TestClient, png: bytes, say: Say) -> None:
    made = client.post("/v1/sessions", files={"image": ("a.png", png)})
    assert made.status_code == 201
    view = made.json()
    assert (view["width"], view["height"], view["turns"], view["model"]) == (40, 24, [], "nano")
    with say("It is [OBJ]cat[SEG]."):
        turn = client.post(f"/v1/sessions/{view['id']}/turns", json={"question": " Where? "}).json()
    assert (turn["question"], turn["text"], turn["plain"], turn["cut"], turn["corrected"]) == (
        "Where?",
        "It is [OBJ]cat[SEG].",
        "It is cat.",
        False,
        None,
    )
    (target,) = turn["targets"]
    mask = decode(target["mask"])
    assert (target["phrase"], target["area"], mask.shape) == ("cat", int(mask.sum()), (24, 40))
    left, top, width, height = target["box"]
    assert mask[top : top + height, left : left + width].sum() == mask.sum()
    again = client.get(f"/v1/sessions/{view['id']}").json()
    assert again["turns"] == [turn]
    assert client.delete(f"/v1/sessions/{view['id']}").status_code == 204
    gone = client.get(f"/v1/sessions/{view['id']}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "session_not_found")


def test_an_answer_comes_in_pieces(client: TestClient, opened: str, say: Say) -> None:
    with say("It is [OBJ]cat[SEG]."):
        response = client.post(f"/v1/sessions/{opened}/turns", json={"question": "Where?", "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    *texts, last = map(json.loads, events[:-1])
    assert "".join(text["text"] for text in texts) == "It is cat."
    assert client.get(f"/v1/sessions/{opened}").json()["turns"] == [last["turn"]]


def test_a_turn_is_taken_back_and_another_branch_grows(client: TestClient, opened: str, say: Say) -> None:
    for answer in ("One.", "Two."):
        with say(answer):
            client.post(f"/v1/sessions/{opened}/turns", json={"question": "What?"})
    twin = client.post(f"/v1/sessions/{opened}/branch", json={"turns": 1})
    assert twin.status_code == 201
    assert twin.json()["id"] != opened
    assert [turn["text"] for turn in twin.json()["turns"]] == ["One."]
    assert len(client.post(f"/v1/sessions/{opened}/branch").json()["turns"]) == 2
    undone = client.delete(f"/v1/sessions/{opened}/turns/last").json()
    assert [turn["text"] for turn in undone["turns"]] == ["One."]
    client.delete(f"/v1/sessions/{opened}/turns/last")
    nothing = client.delete(f"/v1/sessions/{opened}/turns/last")
    assert (nothing.status_code, nothing.json()["error"]["code"]) == (409, "session_conflict")


def test_a_correction_is_kept_beside_its_turn(client: TestClient, opened: str, say: Say) -> None:
    with say("It is [OBJ]cat[SEG]."):
        turn = client.post(f"/v1/sessions/{opened}/turns", json={"question": "Where?"}).json()
    mask = np.zeros((24, 40), dtype=bool)
    mask[2:5, 3:9] = True
    wanted = {"question": None, "answer": None, "targets": [{"phrase": "dog", "mask": encode(mask)}]}
    at = f"/v1/sessions/{opened}/turns/0"
    assert client.put(at, json=wanted).json()["turns"] == [{**turn, "corrected": wanted}]
    wrong = client.put(at, json={"targets": [{"phrase": "dog", "mask": encode(mask[1:])}]})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "bad_mask")
    assert client.put(f"/v1/sessions/{opened}/turns/1", json=wanted).status_code == 404
    assert client.delete(at).json()["turns"] == [turn]


def test_the_image_comes_back_as_it_was(client: TestClient, opened: str, png: bytes) -> None:
    import io

    from PIL import Image

    response = client.get(f"/v1/sessions/{opened}/image")
    assert response.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(response.content)) as got, Image.open(io.BytesIO(png)) as sent:
        assert np.array_equal(np.asarray(got), np.asarray(sent))
