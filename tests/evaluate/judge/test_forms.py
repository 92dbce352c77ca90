"""The judge's forms: what is taken, what is refused, and what the schema asks for."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.evaluate.judge.judges import BROKEN, scores

from miras.errors import ReplyRejected
from miras.evaluate.judge.forms import DIMENSIONS, Scores, Verdict

IN_RANGE = st.floats(0, 5)


def _read(text: str) -> Scores:
    read = Scores.model_validate_json(text)
    read.check()
    return read


@given(st.permutations(list(DIMENSIONS.values())), st.tuples(IN_RANGE, IN_RANGE, IN_RANGE, IN_RANGE))
def test_scores_are_read_by_name(names: list[str], values: tuple[float, ...]) -> None:
    read = _read(scores(dict(zip(names, values, strict=True))))
    given_ = dict(zip(names, values, strict=True))
    assert read.marks == {letter: given_[name] for letter, name in DIMENSIONS.items()}
    assert list(read.marks) == list(DIMENSIONS) and read.total_is_right


def test_figure_8s_own_reply_is_read() -> None:
    lines = zip([*DIMENSIONS.values(), "total_score"], (4.5, 4, 4.2, 4.8, 17.5), strict=True)
    text = json.dumps({"scores": [{"name": name, "score": score} for name, score in lines], "summary": "Good."})
    read = _read(text)
    assert read.marks == {"PR": 4.5, "LC": 4.0, "CC": 4.2, "TR": 4.8} and read.total_is_right


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_used_is_refused(kind: str) -> None:
    with pytest.raises((ValidationError, ReplyRejected)):
        _read(BROKEN[kind])


@pytest.mark.parametrize("total", [None, float("nan"), float("inf"), 13.0])
def test_a_total_that_is_wrong_or_absent_harms_nothing(total: float | None) -> None:
    lines: list[dict[str, Any]] = [{"name": name, "score": 3} for name in DIMENSIONS.values()]
    if total is not None:
        lines.append({"name": "total_score", "score": total})
    read = _read(json.dumps({"scores": lines, "summary": ""}))
    assert not read.total_is_right and set(read.marks.values()) == {3.0}


@pytest.mark.parametrize("form", [Scores, Verdict])
def test_schemas_are_strict(form: type[Scores] | type[Verdict]) -> None:
    def walk(schema: Any) -> None:
        if isinstance(schema, dict):
            if schema.get("type") == "object":
                assert schema["required"] == list(schema["properties"]) and schema["additionalProperties"] is False
            assert "default" not in schema
            for one in schema.values():
                walk(one)

    walk(form.model_json_schema())
    with pytest.raises(ValidationError):
        Verdict.model_validate_json('{"reason": "", "verdict": "a"}')
