"""From a benchmark to a report by the commands alone, with the tiny model on photos of coloured boxes."""

import json
from pathlib import Path

from typer.testing import CliRunner

from miras.cli import app
from miras.model.checkpoint import fresh
from miras.model.configuration import preset


def test_from_cases_to_a_report(shapes: Path, tmp_path: Path) -> None:
    fresh(preset("tiny")).save_pretrained(tmp_path / "tiny")
    talks, run, peer = tmp_path / "direct.jsonl", tmp_path / "run", tmp_path / "peer"

    def miras(*words: str | Path) -> str:
        ended = CliRunner().invoke(app, ["evaluate", *map(str, words)], catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
        return ended.output

    miras("cases", "photos", "--data", shapes, "--out", talks)
    miras("predict", "--cases", talks, "--out", run, "--model", tmp_path / "tiny", "--history", "gold")
    told = miras("score", run, "--replicates", "20")
    assert "gIoU" in told and "gold history" in told and "sacrebleu" in told
    figures = json.loads((run / "figures.json").read_text())
    assert figures["masks"]["n"] >= 16 and figures["run"]["weights_sha256"]
    assert figures["run"]["command"].startswith("miras ")

    # the same answers as any other model's file
    again = miras(
        "score", peer, "--predictions", run / "predictions.jsonl", "--cases", run / "cases.jsonl", "--replicates", "20"
    )
    assert json.loads((peer / "figures.json").read_text())["masks"] == figures["masks"] and "gIoU" in again
    told = miras("report", run, "--out", tmp_path / "report", "--gallery", "2")
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert str(tmp_path / "report") in told.replace("\n", "") and "data:image/jpeg" in page
