"""Descriptions: counts against hand-made records and the real file, tables, figures and the card."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from miras.cli import app
from miras.data.masks import encode
from miras.errors import DataError
from miras.prist.card import as_card, licences
from miras.prist.description import as_json, as_markdown, write_description
from miras.prist.figures import draw_cloud
from miras.prist.stats import Stats, describe, table2, tokens_of


def _record(image: str, focus: str, rounds: int, side: int | None = None, **more: Any) -> dict[str, Any]:
    turns = [("human", "What is it?"), ("gpt", "A thing, perhaps.")] * (rounds - 1) + [
        ("human", "Mark it."),
        ("gpt", "[SEG]"),
    ]
    record = {
        "img_id": image,
        "dialogue": [{"from": who, "value": text} for who, text in turns],
        "focus": focus,
        **more,
    }
    if side is None:
        return record
    mask = np.zeros((100, 200), dtype=bool)
    mask[:side, :side] = True
    return {**record, "mask": encode(mask)}


RECORDS = [
    _record("a.jpg", "Red logo", 3, 90, license="MIT"),
    _record("a.jpg", "red  logo", 5, 4, license="MIT"),
    _record("b.jpg", "Dog on a mat", 4),
]


def test_counts_of_records_made_by_hand() -> None:
    stats = describe(RECORDS)
    assert (len(stats.images), stats.samples, stats.utterances) == (2, 3, 2 + 4 + 3)
    assert (stats.turns.mean, stats.turns.most) == (4, 5)
    # a round has 3 + 3 words, 11 + 17 characters and 4 + 5 tokens; the request has 2 words, 8 characters and 3 tokens
    assert (stats.words.total, stats.words.most) == (9 * 6 + 3 * 2, 4 * 6 + 2)
    assert (stats.characters.total, stats.tokens.total) == (9 * 28 + 3 * 8, 9 * 9 + 3 * 3)
    assert stats.question_words.mean == stats.answer_words.mean == 3
    assert stats.sizes == {"coarse": 1, "fine": 1} and stats.masks == 2
    assert stats.smallest == pytest.approx(16 / 20_000 * 1024**2)
    assert stats.focuses == {"red logo": 2, "dog on a mat": 1}
    assert stats.categories == {"logos and brands": 2, "animals, plants and places": 1}
    assert (stats.nouns["logo"], stats.adjectives["red"], stats.prepositions["on"]) == (2, 2, 1)


def test_tokens_are_words_and_marks() -> None:
    assert tokens_of("Don't stop, it's 5 %!") == 11
    assert describe(RECORDS, count_tokens=lambda text: 7).tokens.total == 7 * (6 + 10 + 8)


def test_the_real_file_has_the_counts_that_are_known(shared_prist: Path) -> None:
    stats = describe(json.loads(shared_prist.read_text()))
    assert (len(stats.images), stats.samples, stats.turns.total) == (169, 508, 1971)
    assert stats.utterances == 1463 and stats.turns.most == 5
    assert stats.answer_words.mean == pytest.approx(12.5, abs=0.05) and stats.answer_words.most == 27
    assert stats.question_words.mean == pytest.approx(10.2, abs=0.05) and stats.question_words.most == 19
    assert stats.words.mean == pytest.approx(80.4, abs=0.05) and stats.words.most == 118
    assert len([name for name in stats.categories if name]) == 12


def test_nothing_gives_none_not_zero() -> None:
    stats = describe([])
    assert stats.turns.mean is None and stats.smallest is None
    assert {name: value for name, value, _ in table2(stats, "t")}["Coarse : medium : fine"] == "no masks"
    assert as_json(stats, "t")["smallest_mask"] is None


def test_it_is_written_whole(tmp_path: Path) -> None:
    stats = describe(RECORDS)
    write_description(stats, tmp_path, "three | talks", "marks")
    text = (tmp_path / "stats.md").read_text()
    assert "| Samples | 3 | 8,320 |" in text and "| Coarse : medium : fine | 50 % : 0 % : 50 % |" in text
    assert "| three / talks | 2 | 2 | 3 |" in text  # a stroke in a name would break the table
    counts = json.loads((tmp_path / "stats.json").read_text())
    assert counts["lengths"]["turns"] == {"mean": 4.0, "most": 5} and counts["token"] == "marks"
    for name in ("focus.png", "cloud.png"):
        with Image.open(tmp_path / name) as picture:
            assert len(Counter(np.asarray(picture.convert("L")).ravel().tolist())) > 20  # something is drawn
    with pytest.raises(DataError, match="no cloud to draw"):
        draw_cloud(Stats(), tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_the_card_tells_terms_and_making() -> None:
    stated = licences(RECORDS)
    assert stated == {"MIT": 2, "none stated": 1}
    made = {"teacher": "seer", "seed": 4, "images": 9, "rejected": {"question: score": 2}, "prompts": "ab12"}
    card = as_card(describe(RECORDS), "talks", "t", stated, made)
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == "other" and front["size_categories"] == ["n<1K"]
    assert "2 of the 3 conversations have a mask" in card and "| none stated | 1 |" in card
    assert "teacher `seer` and seed 4, from 9 images" in card and "- 2 at question: score" in card
    assert yaml.safe_load(as_card(describe(RECORDS), "n", "t", {"MIT": 3}, None).split("---\n")[1])["license"] == "mit"
    assert "Not said" in as_card(describe(RECORDS), "n", "t", {"MIT": 3}, None)


def test_the_commands(tmp_path: Path) -> None:
    (tmp_path / "talks.json").write_text(json.dumps(RECORDS))
    done = CliRunner().invoke(app, ["prist", "stats", str(tmp_path / "talks.json"), "--out", str(tmp_path / "s")])
    assert (
        done.exit_code == 0
        and as_markdown(describe(RECORDS), "this data set", "words and punctuation marks") in done.output
    )
    card = ["prist", "card", str(tmp_path / "talks.json"), str(tmp_path / "README.md"), "--name", "talks"]
    assert CliRunner().invoke(app, card).exit_code == 0
    assert (tmp_path / "README.md").read_text().startswith("---\npretty_name: talks\n")
    (tmp_path / "report.json").write_text("{")
    done = CliRunner().invoke(app, [*card, "--made", str(tmp_path / "report.json")])
    assert done.exit_code == 2 and "should be the report.json of a run" in " ".join(done.output.split())
