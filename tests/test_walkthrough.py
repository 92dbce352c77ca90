"""The walk through "Make your own PRIST", each command run as it is written, on the real photos."""

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from miras.cli import app

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "prist.md"
_ELSEWHERE = ("gpt-4o", "127.0.0.1", "example.org")
"""What commands name that need a server."""


def _commands() -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith(".venv/bin/miras ")]
    return [shlex.split(line)[1:] for line in lines if not any(name in line for name in _ELSEWHERE)]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_photos_to_a_published_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_photos: Path, shared_prist: Path
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "shared").symlink_to(shared_photos.parents[1])
    monkeypatch.chdir(tmp_path / "here")
    commands = _commands()
    assert [words[1] for words in commands] == [
        "--teacher", "sample", "show", "validate", "stats", "split", "convert", "card"
    ]  # fmt: skip
    said = {}
    for words in commands:
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{words}: {done.output[-2000:]}"
        said[words[1]] = done.output
    report = json.loads(Path("talks/report.json").read_text())
    assert report["images"] == 4899 and report["dialogues"] >= 12_000
    assert f"{report['dialogues']} of {report['dialogues']} records can be used" in said["validate"]
    document = DOCUMENT.read_text(encoding="utf-8")
    shown = [line for line in said["stats"].split("## Row of table 8")[0].splitlines() if line.startswith("| ")]
    for line in shown[2:]:
        assert line in document, f"the document should say: {line}"

    from datasets import load_dataset

    rows = load_dataset("talks/hub", split="test", cache_dir=str(tmp_path / "cache"))  # the folder, card and all
    assert len(rows) == 500 and isinstance(rows[0]["image"], Image.Image)
    assert Path("talks/hub/README.md").read_text().startswith("---\npretty_name: my talks")
    assert Path("talks/pages/index.html").is_file() and Path("talks/stats/focus.png").is_file()
