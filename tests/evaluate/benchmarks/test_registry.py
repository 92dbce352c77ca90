"""Every benchmark by its name, as one file of cases."""

import json
from pathlib import Path

import pytest
from tests.data.official import write_reason_seg, write_refcoco
from typer.testing import CliRunner

from miras.cli import app
from miras.errors import ConfigError, DataError
from miras.evaluate.benchmarks.registry import BENCHMARKS, draw_cases, write_benchmark
from miras.evaluate.benchmarks.wanted import Wanted
from miras.evaluate.cases import read_cases


def test_a_file_holds_its_counts_and_is_read_again(tmp_path: Path) -> None:
    out = tmp_path / "cases.jsonl"
    about = write_benchmark("refcoco", Wanted(write_refcoco(tmp_path), "val", suite=""), out)
    cases = read_cases(out)
    assert cases.about == about and about["n"] == len(cases) == 2
    assert about["counts"] == {"crowds": 0, "refs": 1, "sentences": 2, "without_mask": 0}
    assert cases.image_path(cases[0]) == tmp_path / "refer_seg/images/mscoco/images/train2014" / str(cases[0].image)


def test_fewer_are_drawn_by_the_seed_in_file_order(tmp_path: Path) -> None:
    whole = write_benchmark("refcoco", Wanted(write_refcoco(tmp_path), "val"), tmp_path / "all.jsonl")
    some = {
        seed: write_benchmark("refcoco", Wanted(tmp_path, "val", limit=1, seed=seed), tmp_path / f"{seed}.jsonl")
        for seed in range(8)
    }
    assert whole["n"] == 2 and {about["n"] for about in some.values()} == {1} and some[3]["seed"] == 3
    ids = [read_cases(tmp_path / f"{seed}.jsonl")[0].id for seed in some]
    assert set(ids) == {"1-10", "1-11"}
    again = tmp_path / "again.jsonl"
    write_benchmark("refcoco", Wanted(tmp_path, "val", limit=1, seed=2), again)
    assert again.read_bytes() == (tmp_path / "2.jsonl").read_bytes()


def test_the_suite_is_checked_and_has_a_default(data: Path) -> None:
    assert draw_cases("photos", Wanted(data, "val", suite=""))[0]["suite"] == "direct"
    with pytest.raises(ConfigError, match="photos has the suite direct and multi_turn, got 'answers'"):
        draw_cases("photos", Wanted(data, "val", suite="answers"))
    with pytest.raises(ConfigError, match="no benchmark 'vg'; choose one of refcoco, "):
        draw_cases("vg", Wanted(data, "val"))
    with pytest.raises(ConfigError, match="limit must be at least 1"):
        draw_cases("photos", Wanted(data, "val", limit=0))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_missing_files_leave_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"no (folder|file|PRIST file|val\.jsonl\.gz) "):
        write_benchmark(name, Wanted(tmp_path / "none", "val", suite=""), tmp_path / "out" / "cases.jsonl")
    assert not (tmp_path / "out").exists()


def test_a_file_that_breaks_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "cases.jsonl"
    write_benchmark("reason-seg", Wanted(write_reason_seg(tmp_path), "val"), out)
    before = out.read_bytes()
    (tmp_path / "reason_seg/ReasonSeg/val/b.json").write_text("{")
    with pytest.raises(DataError, match=r"b\.json is not JSON"):
        write_benchmark("reason-seg", Wanted(tmp_path, "val"), out)
    assert out.read_bytes() == before


def test_the_command(tmp_path: Path) -> None:
    write_refcoco(tmp_path, "refcocog", "google")
    words = ["evaluate", "cases", "refcocog", "--data", str(tmp_path), "--split", "google:val"]
    result = CliRunner().invoke(app, [*words, "--prompt", "plain", "--out", str(tmp_path / "c.jsonl")])
    assert result.exit_code == 0, result.output
    first, *cases = map(json.loads, (tmp_path / "c.jsonl").read_text().splitlines())
    assert (first["benchmark"], first["split"], first["prompt"]) == ("refcocog", "google:val", "Please mark {phrase}.")
    assert [case["id"] for case in cases] == ["1-10", "1-11"]
