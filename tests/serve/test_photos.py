"""What the page offers to ask about the bundled photos is what the demo asks."""

import json
import re
from pathlib import Path

import yaml

SERVE = Path(__file__).resolve().parents[2] / "src" / "miras" / "serve"
_EXAMPLE = re.compile(r'file: "([^"]+)".*?credit: "([^"]+)",\s*ideas: (\[.*?\])', re.DOTALL)


def test_the_page_asks_what_the_demo_asks() -> None:
    told = yaml.safe_load((SERVE / "photos" / "demo.yaml").read_text(encoding="utf-8"))
    offered = _EXAMPLE.findall((SERVE / "page" / "shell.js").read_text(encoding="utf-8"))
    asked = [(one["photo"], one["questions"]) for one in told]
    assert [(file, json.loads(ideas)) for file, _, ideas in offered] == asked
    assert all(credit in one["credit"] for (_, credit, _), one in zip(offered, told, strict=True))
