"""Many requests from a file."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.serve.http.test_chat import request

from miras.engine.engine import Engine, EngineSettings
from miras.errors import ConfigError
from miras.model.miras import Miras
from miras.serve.http.batch import BatchResult, answer_batch
from miras.serve.http.settings import ServerSettings


def _line(name: str, body: dict[str, Any], **changes: Any) -> str:
    return json.dumps({"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body, **changes})


@pytest.fixture
def file(tmp_path: Path, png: bytes) -> Path:
    body = request(png, "Where?", max_tokens=3)
    lines = [
        _line("a", body),
        "{half",
        _line("b", {**body, "n": 2}),
        "",
        _line("a", body),
        _line("c", body, url="/v1/embeddings"),
        _line("d", {**body, "stream": True}),
        _line("e", {**body, "mask_format": "svg"}),
    ]
    path = tmp_path / "requests.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def answered(engine: Engine, requests: Path, out: Path) -> BatchResult:
    return asyncio.run(answer_batch(engine, ServerSettings(token="secret"), requests, out))


def entries(out: Path) -> dict[str, Any]:
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len({line["id"] for line in lines}) == len(lines)
    return {line["id"]: line for line in lines}


def test_each_line_is_answered_or_refused(engine: Engine, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    result = answered(engine, file, out)
    assert (result.answered, result.refused, result.failed, result.kept) == (2, 5, 0, 0)
    found = entries(out)
    assert found["line-1"]["custom_id"] == "a"
    assert found["line-1"]["error"] is None
    assert found["line-1"]["response"]["body"]["object"] == "chat.completion"
    assert found["line-3"]["response"]["status_code"] == 400
    assert {name for name, line in found.items() if line["error"]} == {"line-2", "line-5", "line-6", "line-7"}
    assert "line 5: custom_id 'a'" in found["line-5"]["error"]["message"]
    assert not list(tmp_path.glob("*.part"))


def test_an_interrupted_run_goes_on(engine: Engine, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    answered(engine, file, out)
    whole = entries(out)
    lines = out.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if json.loads(line)["id"] in ("line-1", "line-2")]
    out.with_name("out.jsonl.part").write_text("\n".join(kept) + "\n" + lines[-1][:30], encoding="utf-8")
    out.unlink()
    result = answered(engine, file, out)
    assert (result.answered, result.refused, result.kept) == (2, 5, 2)
    again = entries(out)
    assert set(again) == set(whole)
    assert again["line-1"] == whole["line-1"]


def test_what_failed_is_asked_again(engine: Engine, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    answered(engine, file, out)
    changed = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    for line in changed:
        if line["id"] == "line-8":
            line["response"]["status_code"] = 503
    out.write_text("".join(json.dumps(line) + "\n" for line in changed), encoding="utf-8")
    assert answered(engine, file, out).kept == 6
    assert entries(out)["line-8"]["response"]["status_code"] == 200


def test_a_result_of_other_requests_is_left_alone(engine: Engine, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    for content, told in (
        ('{"id": "line-1", "custom_id": "z", "response": null}\n', "other requests"),
        ("x\n", "no result"),
    ):
        out.write_text(content, encoding="utf-8")
        with pytest.raises(ConfigError, match=told):
            answered(engine, file, out)
        assert out.read_text(encoding="utf-8") == content
        assert not list(tmp_path.glob("*.part"))
    with pytest.raises(ConfigError, match="cannot be read"):
        answered(engine, tmp_path / "nothing.jsonl", tmp_path / "new.jsonl")


def test_one_at_a_time_is_enough(tiny: Miras, file: Path, tmp_path: Path) -> None:
    engine = Engine(tiny, tmp_path / "sessions", EngineSettings(batch=1))
    assert answered(engine, file, tmp_path / "out.jsonl").answered == 2
    engine.stop()
