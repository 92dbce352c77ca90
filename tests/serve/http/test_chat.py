"""Chat completions, asked in-process."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.model.conftest import new_picture
from tests.serve.http.conftest import data_uri, file_of

from miras.data.masks import decode
from miras.engine.engine import Engine
from miras.serve.http.bodies import TurnView
from miras.serve.http.chat_response import Answer

Say = Callable[..., Any]


def request(png: bytes, *turns: str, **more: Any) -> dict[str, Any]:
    """A request whose first message holds the image."""
    messages: list[dict[str, Any]] = [
        {"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(turns)
    ]
    image = {"type": "image_url", "image_url": {"url": data_uri(png), "detail": "high"}}
    messages[0]["content"] = [{"type": "text", "text": turns[0]}, image]
    return {"model": "nano", "messages": messages, **more}


def test_an_answer_holds_words_and_masks(client: TestClient, png: bytes, say: Say) -> None:
    with say("It is [OBJ]cat[SEG]."):
        response = client.post("/v1/chat/completions", json=request(png, "Where?", temperature=0.3, user="me"))
    assert response.status_code == 200
    body = response.json()
    (choice,) = body["choices"]
    assert choice["message"]["content"] == "It is [OBJ]cat[SEG]."
    assert choice["finish_reason"] == "stop"
    (segment,) = choice["message"]["segments"]
    mask = decode(segment["mask"])
    assert (segment["phrase"], segment["area"], mask.shape) == ("cat", int(mask.sum()), (24, 40))
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]


def test_a_resent_history_is_the_same_conversation(client: TestClient, png: bytes, say: Say) -> None:
    with say("It is [OBJ]cat[SEG]."):
        first = client.post("/v1/chat/completions", json=request(png, "Where?")).json()
    said = first["choices"][0]["message"]["content"]
    with say("Black."):
        named = {"model": "nano", "messages": [{"role": "user", "content": "Which colour?"}]}
        stateful = client.post("/v1/chat/completions", json={**named, "session": first["session"]}).json()
    with say("Black."):
        again = client.post("/v1/chat/completions", json=request(png, "Where?", said, "Which colour?")).json()
    assert again["session"] != first["session"] == stateful["session"]
    assert again["usage"] == stateful["usage"]
    one, two = (client.get(f"/v1/sessions/{each['session']}").json()["turns"] for each in (again, stateful))
    assert [turn["text"] for turn in one] == [turn["text"] for turn in two] == [said, "Black."]


def test_chunks_together_are_the_answer(client: TestClient, png: bytes, say: Say) -> None:
    wanted = request(png, "Where?", stream=True, stream_options={"include_usage": True})
    with say("It is [OBJ]cat[SEG]."):
        response = client.post("/v1/chat/completions", json=wanted)
    events = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    *chunks, used = map(json.loads, events[:-1])
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content", "") for delta in deltas) == "It is [OBJ]cat[SEG]."
    assert [segment["phrase"] for segment in deltas[-1]["segments"]] == ["cat"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[-2:]] == [None, "stop"]
    assert used["choices"] == []
    assert used["usage"]["completion_tokens"] > 3


@pytest.mark.parametrize("form", ["rle", "polygons", "svg", "png"])
def test_masks_come_as_asked(client: TestClient, png: bytes, say: Say, form: str) -> None:
    with say("It is [OBJ]cat[SEG]."):
        body = client.post("/v1/chat/completions", json=request(png, "Where?", mask_format=form)).json()
    mask = body["choices"][0]["message"]["segments"][0]["mask"]
    assert set(mask) == {"size", "counts" if form == "rle" else form}
    assert mask["size"] == [24, 40]


def test_an_answer_that_is_cut_says_so(client: TestClient, png: bytes) -> None:
    body = client.post("/v1/chat/completions", json=request(png, "Where?", max_tokens=1)).json()
    if body["choices"][0]["message"]["content"]:
        assert body["choices"][0]["finish_reason"] == "length"
        assert body["usage"]["completion_tokens"] == 1


def _with(key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda body: body.update({key: value})


@pytest.mark.parametrize(
    ("change", "param"),
    [
        (_with("n", 2), "n"),
        (_with("tools", [{"type": "function"}]), "tools"),
        (_with("stop", ["."]), "stop"),
        (_with("response_format", {"type": "json_object"}), "response_format"),
        (_with("max_tokens", 0), "max_tokens"),
        (_with("mask_format", "gif"), "mask_format"),
        (_with("messages", []), "messages"),
        (_with("messages", [{"role": "user", "content": "Where?"}]), "messages"),
        (_with("session", "../../etc/passwd-and-more"), "session"),
        (lambda body: body["messages"].append({"role": "user", "content": "And?"}), "messages"),
        (lambda body: body["messages"].append({"role": "assistant", "content": "And?"}), "messages"),
        (lambda body: body["messages"].insert(0, {"role": "system", "content": "Be kind."}), "messages.0.role"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    client: TestClient, png: bytes, change: Callable[[dict[str, Any]], Any], param: str
) -> None:
    body = request(png, "Where?")
    change(body)
    response = client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    problem = response.json()["error"]
    assert (problem["type"], problem["param"]) == ("invalid_request_error", param)


def test_several_images_are_refused_and_one_twice_is_not(client: TestClient, png: bytes, say: Say) -> None:
    body = request(png, "Where?", "Here.", "And?")
    body["messages"][2]["content"] = body["messages"][0]["content"]
    with say("There."):
        assert client.post("/v1/chat/completions", json=body).status_code == 200
    other = {"type": "image_url", "image_url": {"url": data_uri(file_of(new_picture(24, 40, seed=5)))}}
    body["messages"][2] = {"role": "user", "content": [{"type": "text", "text": "And?"}, other]}
    refused = client.post("/v1/chat/completions", json=body)
    assert (refused.status_code, "2 images" in refused.json()["error"]["message"]) == (400, True)


def test_only_the_server_s_model_answers(client: TestClient, png: bytes) -> None:
    response = client.post("/v1/chat/completions", json={**request(png, "Where?"), "model": "gpt-4o"})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
    assert [each["id"] for each in client.get("/v1/models").json()["data"]] == ["nano"]
    assert client.get("/v1/models/nano").json()["id"] == "nano"
    assert client.get("/v1/models/other").status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "data:image/png;base64,????",
        "data:image/png,abc",
        "data:image/png;base64," + base64.b64encode(b"no image").decode(),
        "https://example.org/a.png",
        "http://127.0.0.1/a.png",
        "http://user@localhost/a.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "http://[bad",
    ],
)
def test_images_come_from_data_uris_alone(serve: Callable[..., TestClient], png: bytes, address: str) -> None:
    body = request(png, "Where?")
    body["messages"][0]["content"][1]["image_url"]["url"] = address
    # an allowed host is of no use where it leads to this machine
    response = serve(image_hosts=("127.0.0.1", "localhost")).post("/v1/chat/completions", json=body)
    assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_request_that_fails_leaves_nothing(client: TestClient, engine: Engine, png: bytes) -> None:
    before = engine.figures()["sessions"]
    for stream in (False, True):
        refused = client.post("/v1/chat/completions", json=request(png, " ", stream=stream))
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "empty_question")
    for _ in range(100):
        if engine.figures()["sessions"] == before:
            return
        time.sleep(0.02)
    pytest.fail("the conversations are still there")


def test_an_answer_that_fails_on_its_way_says_so_in_the_stream(
    client: TestClient, png: bytes, say: Say, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody foresaw: the log has it, the client a 500's body amid a stream that is whole."""

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no such mask")

    monkeypatch.setattr(Answer, "last", broken)
    monkeypatch.setattr(TurnView, "of", broken)
    name = client.post("/v1/sessions", files={"image": ("a.png", png)}).json()["id"]
    asked = {
        "/v1/chat/completions": request(png, "Where?", stream=True),
        f"/v1/sessions/{name}/turns": {"question": "Where?", "stream": True},
    }
    for path, body in asked.items():
        with say("It is [OBJ]cat[SEG]."):
            response = client.post(path, json=body)
        *_, told, last = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
        assert (json.loads(told)["error"]["code"], last) == ("internal_error", "[DONE]")
    assert [str(entry.exc_info[1]) for entry in caplog.records if entry.exc_info] == ["no such mask"] * 2
