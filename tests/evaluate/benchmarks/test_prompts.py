"""The words of a question."""

import pytest

from miras.errors import ConfigError
from miras.evaluate.benchmarks.prompts import PHRASE_PROMPTS, SENTENCE_PROMPTS, fill, sentence_prompt, template


def test_names_stand_for_words_and_words_for_themselves() -> None:
    assert template("plain") == PHRASE_PROMPTS["plain"] and sentence_prompt("plain") == SENTENCE_PROMPTS["plain"]
    assert template("Find {phrase}!") == sentence_prompt("Find {phrase}!") == "Find {phrase}!"
    assert set(PHRASE_PROMPTS) == set(SENTENCE_PROMPTS)


def test_braces_of_a_phrase_stay() -> None:
    assert fill("Find {phrase}!", "the {x}") == "Find the {x}!"


@pytest.mark.parametrize("prompt", ["Find it!", "{phrase} or {phrase}", "", "lisa"])
def test_words_without_room_for_a_phrase(prompt: str) -> None:
    with pytest.raises(ConfigError, match="prompt should be standard, plain or words with"):
        template(prompt)
