"""The folder of a report: a page that needs nothing else, Markdown with its pictures, JSON with every number."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.evaluate.report.conftest import MakeRun
from typer.testing import CliRunner

from miras.cli import app
from miras.errors import DataError
from miras.evaluate.report.cards import MOST_BYTES
from miras.evaluate.report.folder import write_report
from miras.evaluate.score import score_run

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Every tag with its attributes, and whether all are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_needs_no_other_file(make_run: MakeRun, trials: Path, tmp_path: Path) -> None:
    folders = [make_run("whole", plain=True, run={"setting": "fine-tuned"}), trials]
    out = tmp_path / "out"
    path = write_report(folders, out, other=make_run("half", half=True, plain=True), command="miras evaluate report x")
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    sources = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert sources and all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object"}
    assert "url(" not in text and "@import" not in text
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert links == {"#tables", "#run1", "#against", "#origin"} and len(names) == len(set(names))
    words = " ".join(page.words)
    for told in (
        "Table 3",
        "Table 6",
        "other data",
        "Failures by kind",
        "Side by side",
        "miras evaluate report x",
        "abc",
    ):
        assert told in words
    assert all(
        attributes.get("alt") for tag, attributes in page.tags if tag == "img" and attributes.get("width") != "26"
    )


def test_markdown_has_its_pictures_beside_it_and_json_every_number(make_run: MakeRun, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_report([make_run("half", half=True)], out)
    text = (out / "report.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text))
    assert linked == {f"pictures/{path.name}" for path in (out / "pictures").iterdir()}
    assert all((out / name).stat().st_size <= MOST_BYTES for name in linked)
    assert "58.6 \\[50.0, 61.0\\]" in text and "*LISA (paper)*" in text
    content = json.loads((out / "report.json").read_text())
    assert (content["format"], content["version"]) == ("miras-report", 1)
    rows = content["sections"]["tables"]["table3"]["rows"]
    own = [row for row in rows if row["kind"] == "own"]
    assert own[1]["cells"]["Pixel-wise CIoU"] == [{"value": 0.58625, "interval": [0.5, 0.61], "unit": "percent"}]
    assert own[0]["source"].endswith("half/figures.json")
    paper = next(row for row in rows if row["kind"] == "paper")
    assert paper["cells"]["Pixel-wise CIoU"] == "8.26" and paper["note"] == "paper"


def test_words_of_a_model_are_never_markup(make_run: MakeRun, tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script> | **bold** \u202e `x`"
    folder = make_run()
    lines = (folder / "predictions.jsonl").read_text().splitlines()
    head, answers = json.loads(lines[0]) | {"model": nasty}, json.loads(lines[1])
    answers["turns"][0]["text"] = nasty
    answers["turns"][0]["masks"][0]["phrase"] = nasty
    (folder / "predictions.jsonl").write_text("\n".join([json.dumps(head), json.dumps(answers), *lines[2:]]))
    score_run(folder, replicates=5)
    out = tmp_path / "out"
    page = Page(write_report([folder], out, title=nasty).read_text(encoding="utf-8"))
    assert "script" not in {tag for tag, _ in page.tags}
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "<script>" not in text and "&lt;script&gt;" in text and "\u202e" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows and all(line.endswith(" |") for line in rows)


def test_an_older_report_is_replaced_and_other_files_stay(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run(half=True)
    (tmp_path / "out" / "pictures").mkdir(parents=True)
    (tmp_path / "out" / "pictures" / "old.jpg").write_text("old")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    write_report([folder], tmp_path / "out", count=0)
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "out" / "pictures" / "old.jpg").exists()


def test_what_is_no_run_is_refused_and_nothing_is_written(make_run: MakeRun, tmp_path: Path) -> None:
    out, folder = tmp_path / "out", make_run()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty is no folder of a scored run: figures.json was expected"):
        write_report([folder, tmp_path / "empty"], out)
    with pytest.raises(DataError, match="at least one folder"):
        write_report([], out)
    later = make_run("later", version=2)
    with pytest.raises(DataError, match=r"should say .*'version': 1.* got .*'version': 2"):
        write_report([later], out)
    with pytest.raises(DataError, match="setting should be one of zero-shot, fine-tuned or null, got 'other'"):
        write_report([make_run("odd", run={"setting": "other"})], out)
    with pytest.raises(DataError, match=r"made of another predictions.jsonl than the one beside it"):
        write_report([make_run("stale", run={"predictions_sha256": "0" * 64})], out)
    broken = make_run("broken")
    lines = (broken / "targets.jsonl").read_text().splitlines()
    (broken / "targets.jsonl").write_text(
        "\n".join([lines[0], lines[1].replace('"predicted": 1', '"predicted": 2'), lines[2]])
    )
    with pytest.raises(DataError, match=r"targets.jsonl, line 2: cases and answers hold no such target or mask"):
        write_report([broken], out)
    assert not out.exists()


def test_figures_alone_make_a_report_too(make_run: MakeRun, trials: Path, tmp_path: Path) -> None:
    folder = make_run(masks=None, text=None, text_without_last=None)
    for name in ("cases", "predictions", "targets"):
        (folder / f"{name}.jsonl").unlink()
    text = write_report([folder], tmp_path / "out").read_text(encoding="utf-8")
    assert "no pictures, failures or confidence" in text and "Table 3" not in text
    assert "Table 6" in write_report([trials], tmp_path / "other").read_text(encoding="utf-8")


def test_command(make_run: MakeRun, tmp_path: Path) -> None:
    out, whole, half = tmp_path / "out", make_run("whole", plain=True), make_run("half", half=True, plain=True)
    command = ["evaluate", "report", str(half), "--fine-tuned", str(whole), "--against", str(whole), "--out", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert str(out / "report.html") in done.output
    rows = json.loads((out / "report.json").read_text())["sections"]["tables"]["table3"]["rows"]
    place = next(place for place, row in enumerate(rows) if row["kind"] == "setting")
    assert len([row for row in rows if row["source"].endswith("whole/figures.json")]) == 2  # not once more as the other
    assert rows[place]["name"] == "Fine-tuned" and rows[place + 1]["source"].endswith("whole/figures.json")
    failed = CliRunner().invoke(app, ["evaluate", "report", str(tmp_path / "none"), "--out", str(tmp_path / "x")])
    assert failed.exit_code == 2 and "is no folder of a scored run" in failed.output and not (tmp_path / "x").exists()


def test_only_some_cases_are_shown_where_not_all_may_be(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(half=True, plain=True)
    other = make_run("other", plain=True)
    options = ["--show", "category=animal", "--against", str(other)]
    ended = CliRunner().invoke(app, ["evaluate", "report", str(run), "--out", str(tmp_path / "out"), *options])
    assert ended.exit_code == 0, ended.output
    told = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "case cat" in told and "case both" not in told and "of category animal alone" in told
    assert json.loads((tmp_path / "out" / "report.json").read_text())["sections"]["run1"], "every figure stays"
    refused = CliRunner().invoke(
        app, ["evaluate", "report", str(run), "--out", str(tmp_path / "no"), "--show", "animal"]
    )
    assert refused.exit_code == 2 and "--show takes label=stratum" in refused.output
    assert not (tmp_path / "no").exists()
