"""Ray: the same output as on one machine, and shards that are done are left alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.generate.seer import reply
from tests.llm.loopback import Loopback, running
from typer.testing import CliRunner

from miras.cli import app

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Ray, by Ray
]


def _run(server: Loopback, images: Path, out: Path, *more: str) -> None:
    given = ["--teacher", "seer", "--server", server.url, "--images", str(images), "--out", str(out)]
    done = CliRunner().invoke(app, ["generate", *given, *more])
    assert done.exit_code == 0, done.output


def test_the_cluster_gives_what_one_machine_gives(tmp_path: Path, make_images: Callable[[int], Path]) -> None:
    ray = pytest.importorskip("ray")
    images = make_images(23)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with running(Loopback(reply)) as server:
            _run(server, images, tmp_path / "one")
            _run(server, images, tmp_path / "many", "--engine", "ray", "--shard", "5", "--limit", "10")
            asked = sum(server.requests.values())
            _run(server, images, tmp_path / "many", "--engine", "ray", "--shard", "5", "--limit", "10")
            assert sum(server.requests.values()) == asked
            more = ["--images", str(images), "--out", str(tmp_path / "many"), "--engine", "ray", "--shard", "5"]
            done = CliRunner().invoke(app, ["generate", "--teacher", "seer", "--server", server.url, *more])
            assert done.exit_code == 2 and "begun otherwise (images" in " ".join(done.output.split())
            _run(server, images, tmp_path / "all", "--engine", "ray", "--shard", "5")
    finally:
        ray.shutdown()
    one, many = ((tmp_path / name / "dialogues.json").read_bytes() for name in ("one", "all"))
    assert one == many
    reports = [json.loads((tmp_path / name / "report.json").read_text()) for name in ("one", "all")]
    for name in ("images", "dialogues", "images_without_dialogue", "rejected", "prompt_tokens"):
        assert reports[0][name] == reports[1][name], name
    parts = sorted(path.name for path in (tmp_path / "all" / "parts").iterdir() if path.is_dir())
    assert parts == [f"{i:06d}" for i in range(5)]
