"""What commands share when they ask a server: options, limits, the key; and many items at work at once."""

import asyncio
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from miras.errors import ConfigError, LlmError
from miras.llm.client import Endpoint
from miras.llm.limits import Limits
from miras.llm.server import KEYS, ServerOptions, asks_a_server, open_client
from miras.llm.store import Store
from miras.llm.work import work_through


def test_a_command_gets_the_options_of_a_server() -> None:
    seen = []
    app = typer.Typer()

    @app.command()
    @asks_a_server
    def ask(model: Annotated[str, typer.Argument()], out: Path, times: int = 5, *, asked: ServerOptions) -> None:
        """Ask a model."""
        seen.append((model, out, times, asked))

    words = ["m", "o", "--server", "http://here/v1", "--at-once", "3", "--temperature", "0", "--times", "2"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    [(model, out, times, asked)] = seen
    assert (model, out, times) == ("m", Path("o"), 2)
    assert asked.endpoint("m") == Endpoint("m", "http://here/v1", temperature=0.0)
    assert asked.limits() == Limits(at_once=3)
    told = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert "Ask a model." in told and "--budget-money" in told and "--asked" not in told
    assert CliRunner().invoke(app, ["m", "o", "--at-once", "0"]).exit_code == 2


def test_a_budget_in_money_needs_a_price() -> None:
    with pytest.raises(ConfigError, match="--budget-money needs --prompt-price"):
        ServerOptions(budget_money=1.0).limits()
    assert ServerOptions(budget_money=1.0, reply_price=2.0).limits().money == 1.0


def test_only_openai_needs_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)

    async def key(base_url: str | None) -> str:
        with Store(tmp_path / "run.sqlite") as store:
            async with open_client(Endpoint("m", base_url), store, Limits()) as client:
                return client.server.api_key

    assert asyncio.run(key("http://127.0.0.1:1/v1")) == "none"
    with pytest.raises(ConfigError, match="OpenAI's server needs a key, MIRAS_API_KEY and OPENAI_API_KEY are not set"):
        asyncio.run(key(None))
    monkeypatch.setenv("OPENAI_API_KEY", "second")
    assert asyncio.run(key(None)) == "second"
    monkeypatch.setenv("MIRAS_API_KEY", "first")
    assert asyncio.run(key(None)) == "first"


def test_a_failure_ends_the_work_after_what_is_under_way() -> None:
    begun, ended, at_work = [], [], 0

    async def work(item: int) -> None:
        nonlocal at_work
        begun.append(item)
        at_work += 1
        assert at_work <= 3
        await asyncio.sleep(0.02 if item != 4 else 0.001)
        at_work -= 1
        if item == 4:
            raise LlmError("the server is gone")
        ended.append(item)

    with pytest.raises(LlmError, match="is gone"):
        asyncio.run(work_through(range(100), work, at_once=3))
    assert set(begun) == {*ended, 4} and len(begun) < 10
    asyncio.run(work_through([5, 6], work, at_once=3))
    assert ended[-2:] == [5, 6]
