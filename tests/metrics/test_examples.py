"""The examples of docs/metrics.md run, and print what stands beside them."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
_PRINTED = re.compile(r"^print\(.*\)  # (.+)$", re.MULTILINE)


def test_examples_print_what_stands_beside_them(capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text(encoding="utf-8").split("\n## Text")[0]
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)  # a page is read from its top, so later blocks know the names of earlier ones
    expected = [line for block in blocks for line in _PRINTED.findall(block)]
    assert len(expected) == sum(block.count("print(") for block in blocks) >= 25
    assert capsys.readouterr().out.splitlines() == expected
