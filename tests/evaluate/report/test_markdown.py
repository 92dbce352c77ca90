"""Markdown that says what it was given, whatever words stand in it."""

import re

import pytest

from miras.evaluate.report.content import Card, Cards, Column, Figure, Grid, Row, Section
from miras.evaluate.report.markdown import as_markdown

NASTY = [
    "<b>bold</b>",
    "a | b",
    "*star* _line_ `code`",
    "[link](http://x)",
    "- item",
    "12. item",
    "# head",
    "a & b &lt;",
]


def section(words: str) -> Section:
    grid = Grid(
        "g", words, (Column("n"), Column(words, words=True)), (Row(words, ((Figure(0.5),), words)),), (words,), words
    )
    card = Card(words, "IoU 0.50", (words,), ((words, "nano", words),), (words,))
    return Section("s", words, (grid, Cards("c", words, (card,), words)), (words,))


@pytest.mark.parametrize("words", NASTY)
def test_words_come_back_from_the_rendered_page(words: str) -> None:
    markdown = pytest.importorskip("markdown")
    html = markdown.markdown(as_markdown(words, words, [section(words)]), extensions=["tables"])
    assert not re.search(r"<(b|a|code|li>(?!<p>)\s*item|ol)\b", html.replace("<blockquote>", ""))
    text = re.sub(r"<[^>]+>", "", html).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert text.count(words) == 17
    assert html.count("<th") - html.count("<thead") == 3 and html.count("<td") == 3


def test_a_blank_cell_and_an_unknown_figure_differ() -> None:
    row = Row("nano", ((), (Figure(None),), (Figure(0.5, (0.4, 0.6)), Figure(1.0))), note="micro")
    grid = Grid(
        "g",
        "T",
        (Column("a"), Column("b", "G"), Column("c", "G")),
        (row, Row("LISA", ("1", "2", "3"), "paper", note="paper")),
    )
    lines = as_markdown("t", "s", [Section("s", "S", (grid,))]).splitlines()
    assert "|  | a | G b | G c |" in lines
    assert "| nano (micro) |  | – | 50.0 \\[40.0, 60.0\\] / 100.0 |" in lines
    assert "| *LISA (paper)* | 1 | 2 | 3 |" in lines
