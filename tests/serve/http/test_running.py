"""A server on this machine's own address: OpenAI's client, clients that leave, an orderly end."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import torch
from tests.model.conftest import said
from tests.serve.http.conftest import data_uri

from miras.data.masks import decode
from miras.engine.engine import Engine
from miras.errors import ConfigError
from miras.model.miras import Miras
from miras.serve.http import running
from miras.serve.http.app import make_app
from miras.serve.http.running import bound, serve_until_stopped
from miras.serve.http.settings import ServerSettings

Say = Callable[..., Any]


@contextmanager
def served(engine: Engine, monkeypatch: pytest.MonkeyPatch, *, grace: float = 5.0) -> Iterator[tuple[str, Any]]:
    """The address of a server in a thread, and the server, which is told to stop at the end."""
    made: list[Any] = []

    class Seen(running._Server):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr(running, "_Server", Seen)
    at = bound("127.0.0.1", 0)
    address = f"http://127.0.0.1:{at.getsockname()[1]}"
    app = make_app(engine, ServerSettings(token="t" * 16))
    thread = threading.Thread(target=serve_until_stopped, args=(app, at), kwargs={"grace": grace})
    thread.start()
    while not (made and made[0].started):
        time.sleep(0.01)
    try:
        yield address, made[0]
    finally:
        if made[0].told_by is None:
            made[0].handle_exit(signal.SIGTERM, None)
        thread.join(20)
    assert not thread.is_alive()


def _message(png: bytes, text: str) -> Any:
    image = {"type": "image_url", "image_url": {"url": data_uri(png)}}
    return {"role": "user", "content": [{"type": "text", "text": text}, image]}


def test_openai_s_client_works_unchanged(engine: Engine, png: bytes, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(engine, monkeypatch) as (address, _):
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="t" * 16, max_retries=0)
        assert [model.id for model in client.models.list()] == ["nano"]
        messages = [_message(png, "Where?")]
        with say("It is [OBJ]cat[SEG]."):
            whole: Any = client.chat.completions.create(model="nano", messages=messages, temperature=0.2)
        spoken = whole.choices[0].message
        assert decode(spoken.segments[0]["mask"]).shape == (24, 40)
        messages += [spoken.model_dump(), {"role": "user", "content": "And now?"}]
        with say("There, [OBJ]dog[SEG]."):
            stream: Any = client.chat.completions.create(
                model="nano", messages=messages, stream=True, stream_options={"include_usage": True}
            )
            chunks = list(stream)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "There, [OBJ]dog[SEG]."
        assert chunks[-2].choices[0].delta.segments[0]["phrase"] == "dog"
        assert chunks[-1].usage.prompt_tokens > whole.usage.prompt_tokens
        with pytest.raises(openai.BadRequestError, match="one image"):
            client.chat.completions.create(model="nano", messages=[{"role": "user", "content": "Where?"}])
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=f"{address}/v1", api_key="wrong", max_retries=0).models.list()


class _Slow:
    """Makes the model write words without an end, some each second, while it counts them."""

    def __init__(self, model: Miras, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written, real, encoder = 0, model.language.logits, model.processor.encoder

        def logits(states: Any) -> Any:
            self.written += 1
            time.sleep(0.02)
            return real(states).index_fill(-1, torch.tensor([encoder.stop_id, encoder.obj_id]), -1e9)

        monkeypatch.setattr(model.language, "logits", logits)


def _later(call: Callable[[Any], Any], given: Any) -> Any:
    time.sleep(0.05)
    return call(given)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_its_answer(
    engine: Engine, tiny: Miras, png: bytes, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    with served(engine, monkeypatch) as (address, _):
        head = {"Authorization": f"Bearer {'t' * 16}"}
        with httpx2.Client(base_url=address, headers=head, trust_env=False) as client:
            name = client.post("/v1/sessions", files={"image": png}).json()["id"]
        slow, body = _Slow(tiny, monkeypatch), {"question": "Where?", "stream": stream, "limit": 250}
        with httpx2.Client(base_url=address, headers=head, trust_env=False, timeout=0.5) as client:
            if stream:
                with client.stream("POST", f"/v1/sessions/{name}/turns", json=body) as response:
                    assert next(response.iter_lines()).startswith('data: {"text"')
            else:
                with pytest.raises(httpx2.ReadTimeout):
                    client.post(f"/v1/sessions/{name}/turns", json=body)
        time.sleep(0.3)
        written = slow.written
        time.sleep(0.3)
        assert 0 < slow.written == written < 100
        assert engine.view(name).turns == ()


def test_told_to_stop_it_finishes_what_runs_and_refuses_the_rest(
    tiny: Miras, png: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, head = Engine(tiny, folder), {"Authorization": f"Bearer {'t' * 16}"}
    with served(engine, monkeypatch) as (address, server):
        with httpx2.Client(base_url=address, headers=head, trust_env=False) as client:
            name = client.post("/v1/sessions", files={"image": png}).json()["id"]
            with said(tiny, "A long answer that takes its time."), monkeypatch.context() as patch:
                quick = tiny.language.logits
                patch.setattr(tiny.language, "logits", lambda states: _later(quick, states))
                body = {"question": "Where?", "stream": True}
                with client.stream("POST", f"/v1/sessions/{name}/turns", json=body) as response:
                    lines = response.iter_lines()
                    next(lines)
                    server.handle_exit(signal.SIGTERM, None)
                    refused = httpx2.get(f"{address}/v1/models", headers=head, trust_env=False)
                    rest = list(lines)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "stopping")
        assert rest[-2] == "data: [DONE]"
    assert len(engine.view(name).replies) == 1
    engine.stop()


def test_an_address_in_use_is_told() -> None:
    with bound("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(ConfigError, match="another --host or --port"):
            bound("127.0.0.1", taken.getsockname()[1])
