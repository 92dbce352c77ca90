"""The client, against a real server on loopback: forms, faults, repairs, the store and the budget."""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel
from tests.llm.loopback import Loopback, running

from miras.errors import BudgetSpent, LlmError, ReplyRejected
from miras.llm.client import REFUSED, Client, Endpoint
from miras.llm.limits import Limits
from miras.llm.store import Store

KEY = "sk-secret-of-a-test"


class Sum(BaseModel):
    answer: int


def _added(request: dict[str, Any]) -> str:
    asked = next(one["content"] for one in request["messages"] if one["role"] == "user")
    return json.dumps({"answer": sum(map(int, asked.split("+")))})


def _ask(
    server: Loopback,
    path: Path,
    asked: Sequence[str],
    *,
    limits: Limits | None = None,
    tries: int = 8,
    check: Callable[[Sum], None] | None = None,
) -> tuple[list[Sum], Client]:
    """The answers to all, asked at once by one client."""

    async def work() -> tuple[list[Sum], Client]:
        with Store(path / "run.sqlite") as store:
            async with openai.AsyncOpenAI(api_key=KEY, base_url=server.url, max_retries=0) as connection:
                endpoint = Endpoint("adder", server.url, max_tokens=50, tries=tries, timeout=10)
                client = Client(endpoint, store, limits or Limits(), server=connection)
                messages = [[{"role": "user", "content": text}] for text in asked]
                return list(await asyncio.gather(*(client.ask(one, Sum, check) for one in messages))), client

    return asyncio.run(work())


def test_every_fault_is_survived_and_nothing_is_asked_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    faults = dict.fromkeys(("slow", "busy", "error", "broken", "cut", "rules"), 0.05)
    asked = [f"{i}+{i + 1}" for i in range(200)]
    with running(Loopback(_added, faults=faults)) as server:
        answers, client = _ask(server, tmp_path, asked)
        assert [one.answer for one in answers] == [2 * i + 1 for i in range(200)]
        assert {name for name, count in server.struck.items() if count} >= set(faults)
        assert client.retried > 0 and client.repaired > 0 and server.most_in_flight <= 16
        before = sum(server.requests.values())
        again, client = _ask(server, tmp_path, asked)
        assert again == answers and client.asked == 0 and sum(server.requests.values()) == before
        assert client.spent["prompt_tokens"] == 100 * sum(server.answered.values())
    assert KEY not in caplog.text
    assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.iterdir())


def test_the_same_question_at_the_same_time_is_asked_once(tmp_path: Path) -> None:
    with running(Loopback(_added, latency=0.05)) as server:
        answers, client = _ask(server, tmp_path, ["1+2"] * 10 + ["3+4"])
        assert [one.answer for one in answers] == [3] * 10 + [7]
        assert sum(server.requests.values()) == 2 and client.cached == 9


@pytest.mark.parametrize(("refuses", "form"), [((), "json_schema"), (("json_schema",), "json_object"),
                                               (("json_schema", "json_object"), "words")])  # fmt: skip
def test_forms_are_stepped_down_to_what_the_server_knows(tmp_path: Path, refuses: tuple[str, ...], form: str) -> None:
    with running(Loopback(_added, refuses=refuses)) as server:
        answers, client = _ask(server, tmp_path, ["1+2", "3+4"])
        assert [one.answer for one in answers] == [3, 7] and client.form == form
        _, client = _ask(server, tmp_path, ["5+6"])
        assert client.asked == 1 and client.form == form  # it is remembered


def test_a_refused_conversation_is_no_refused_form(tmp_path: Path) -> None:
    """Two servers: one knows JSON schemas, one is told in words; both filter what holds a 13."""
    for refuses, form in (((), "json_schema"), (("json_schema", "json_object"), "words")):
        path = tmp_path / form
        with running(Loopback(_added, refuses=refuses, rejects="13+")) as server:
            with pytest.raises(LlmError, match=r"answered 400: .*; it has answered nothing so far"):
                _ask(server, path, ["13+1"])
            _ask(server, path, ["1+2"])
            with pytest.raises(ReplyRejected, match=r"takes no such conversation: .*The prompt was filtered") as told:
                _ask(server, path, ["13+1"])
            assert told.value.rule == REFUSED
            answers, client = _ask(server, path, ["1+2", "3+4"])
            assert [one.answer for one in answers] == [3, 7] and client.form == form
            assert client.cached == 1 and client.asked == 1


def test_models_that_count_otherwise_are_asked_otherwise(tmp_path: Path) -> None:
    with running(Loopback(_added, refuses=("max_tokens",), seen=[])) as server:
        answers, client = _ask(server, tmp_path, ["1+2", "3+4"])
        assert [one.answer for one in answers] == [3, 7] and client.form == "json_schema"
        assert server.seen is not None and server.seen[-1]["max_completion_tokens"] == 50


@pytest.mark.parametrize("refuses", [(), ("seed",), ("seed", "json_schema", "max_tokens")])
def test_each_seed_has_a_reply_of_its_own(tmp_path: Path, refuses: tuple[str, ...]) -> None:
    async def work(url: str) -> Client:
        with Store(tmp_path / "run.sqlite") as store:
            async with openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0) as connection:
                client = Client(Endpoint("adder", url), store, Limits(), server=connection)
                for seed in (1, 2, 2, None):
                    asked = [{"role": "user", "content": "1+2"}]
                    assert (await client.ask(asked, Sum, seed=seed)).answer == 3
                return client

    with running(Loopback(_added, refuses=refuses, seen=[])) as server:
        client = asyncio.run(work(server.url))
        assert client.cached == 1 and client.sends_seeds == ("seed" not in refuses)
        taken = [request.get("seed") for request in server.seen or () if not set(refuses) & set(request)]
        assert taken[-3:] == ([None, None, None] if refuses else [1, 2, None])
        before = len(server.seen or ())
        client = asyncio.run(work(server.url))
        assert client.cached == 4 and len(server.seen or ()) == before  # it is remembered


def test_a_rule_is_told_and_asked_for_again(tmp_path: Path) -> None:
    def even(one: Sum) -> None:
        if one.answer % 2:
            raise ReplyRejected(f"the answer should be even, got {one.answer}", "odd")

    def adder(request: dict[str, Any]) -> str:
        if "should be even, got 3" in request["messages"][-1]["content"]:
            return '```json\n{"answer": 4}\n```'
        return "It is " + json.dumps({"answer": 3})

    with running(Loopback(adder)) as server:
        answers, client = _ask(server, tmp_path, ["1+2"], check=even)
        assert answers == [Sum(answer=4)] and client.repaired == 1
    with running(Loopback(lambda request: '{"answer": 5}')) as server:
        with pytest.raises(ReplyRejected, match="broke its rules 3 times, at last: the answer should be even") as told:
            _ask(server, tmp_path / "other", ["1+2"], check=even)
        assert told.value.rule == "odd" and sum(server.requests.values()) == 3


def test_a_server_that_fails_for_good_is_named(tmp_path: Path) -> None:
    with running(Loopback(_added, faults={"error": 1.0})) as server:
        with pytest.raises(LlmError, match=r"adder at http://127.* gave no reply in 2 tries.*InternalServerError"):
            _ask(server, tmp_path, ["1+1"], tries=2)
        url = server.url
    with pytest.raises(LlmError, match="see whether the server runs"):
        _ask(Loopback(_added, port=int(url.split(":")[2].split("/")[0])), tmp_path, ["1+1"], tries=2)


def test_the_budget_is_never_passed(tmp_path: Path) -> None:
    with running(Loopback(_added, latency=0.01)) as server:
        limits = Limits(at_once=4, tokens=2000)
        with pytest.raises(BudgetSpent, match="may use 2,000 tokens"):
            _ask(server, tmp_path, [f"{i}+1" for i in range(100)], limits=limits)
        assert 1000 < 120 * sum(server.requests.values()) <= 2000


def _said(server: Loopback, path: Path, *conversations: str) -> list[Any]:
    """What is said to each, or the error."""

    async def work() -> list[Any]:
        with Store(path / "run.sqlite") as store:
            async with openai.AsyncOpenAI(api_key=KEY, base_url=server.url, max_retries=0) as connection:
                client = Client(
                    Endpoint("talker", server.url, tries=2, temperature=0.0), store, Limits(), server=connection
                )
                talks = [[{"role": "user", "content": text}] for text in conversations]
                answers: list[Any] = []
                for one in talks:  # in turn: what a server refuses counts otherwise before its first answer
                    answers += await asyncio.gather(client.say(one), return_exceptions=True)
                return answers

    return asyncio.run(work())


def test_a_conversation_is_answered_in_words_once(tmp_path: Path) -> None:
    def talker(request: dict[str, Any]) -> str:
        asked: str = request["messages"][-1]["content"]
        return "" if asked == "hush" else f"You said {asked}."

    with running(Loopback(talker, seen=[], refuses=("max_tokens",))) as server:
        hello, hush = _said(server, tmp_path, "hello", "hush")
        assert (hello.text, hush.text) == ("You said hello.", "") and hello.seconds > 0
        asked = sum(server.answered.values())
        assert _said(server, tmp_path, "hello", "hush") == [hello, hush] and sum(server.answered.values()) == asked == 2
        assert server.seen is not None and not any("response_format" in request for request in server.seen)
        assert server.seen[-1]["temperature"] == 0.0 and len(server.seen[-1]["messages"]) == 1


def test_a_conversation_that_a_server_does_not_take_is_told_from_a_server_that_fails(tmp_path: Path) -> None:
    with running(Loopback(lambda request: "x", rejects="bomb")) as server:
        fine, refused = _said(server, tmp_path, "hello", "a bomb")
        assert fine.text == "x" and isinstance(refused, ReplyRejected) and refused.rule == REFUSED
        assert "takes no such conversation: " in str(refused)
    with running(Loopback(lambda request: "x", faults={"error": 1.0})) as server:
        [failed] = _said(server, tmp_path / "other", "hello")
        assert type(failed) is LlmError
