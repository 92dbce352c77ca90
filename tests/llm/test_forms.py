"""How a reply's form is told in each way, and how JSON is found in what a model writes around it."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from miras.errors import ReplyRejected
from miras.llm.forms import FORMS, Form, bare, told, what_is_wrong


class Sum(BaseModel):
    answer: int


ASKED: list[dict[str, Any]] = [{"role": "user", "content": "1+2"}]


@pytest.mark.parametrize("form", FORMS)
def test_every_way_tells_the_schema_once(form: Form) -> None:
    request = told(ASKED, Sum, form)
    assert json.dumps(request).count("integer") == 1 and request["messages"][-1] == ASKED[0] and len(ASKED) == 1
    assert request.get("response_format", {"type": "words"})["type"] == form


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"answer": 3}', '{"answer": 3}'),
        ('```json\n{"answer": 3}\n```', '{"answer": 3}'),
        ('It is {"answer": 3}, I think.', '{"answer": 3}'),
        ("} It is 3. {", "} It is 3. {"),
        ("", ""),
    ],
)
def test_json_is_found_between_words(text: str, expected: str) -> None:
    assert bare(text) == expected


def test_what_is_wrong_is_told_by_its_place() -> None:
    with pytest.raises(ValidationError) as error:
        Sum.model_validate_json('{"answer": "three"}')
    rule, wrong = what_is_wrong(error.value)
    assert rule == "schema" and wrong.startswith("answer: ")
    assert what_is_wrong(ReplyRejected("too odd", "odd")) == ("odd", "too odd")
