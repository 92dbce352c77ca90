"""The examples in the pages about the server, run as they are written against a server that lives."""

import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image
from tests.documents import blocks
from tests.serve.http.conftest import data_uri
from tests.serve.live.processes import served
from typer.testing import CliRunner

from miras.cli import app
from miras.engine.engine import Engine
from miras.model.miras import Miras
from miras.serve.exports import FORMS
from miras.serve.http.app import make_app
from miras.serve.http.command import read_token
from miras.serve.http.settings import ServerSettings

DOCS = Path(__file__).resolve().parents[3] / "docs"
PHOTO = Path(__file__).resolve().parents[3] / "src" / "miras" / "serve" / "photos" / "coffee.jpg"


@dataclass
class Desk:
    """A folder with a photo in which a person types, and the server that runs meanwhile."""

    folder: Path
    model: Path
    address: str

    def python(self, code: str) -> str:
        """What an example prints."""
        return self._run([sys.executable, "-c", self._here(code)])

    def bash(self, lines: str) -> str:
        """What commands print, all of which succeed."""
        return self._run(["bash", "-euo", "pipefail", "-c", self._here(lines).replace("curl ", "curl --fail -sS ")])

    def _here(self, text: str) -> str:
        changed = text.replace("http://127.0.0.1:8000", self.address)
        assert changed != text, "an example names the server's address"
        return changed

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def desk(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    (folder / "nano").symlink_to(tiny_folder)
    shutil.copyfile(PHOTO, folder / "photo.jpg")
    with served(folder / "nano", folder / "serve_out") as server:
        yield Desk(folder, folder / "nano", server.address)


@pytest.mark.slow
def test_openai_s_client(desk: Desk) -> None:
    (example,) = (block for block in blocks(DOCS / "serve.md", "python") if "from openai import" in block)
    said, *marked = desk.python(example).splitlines()
    assert said.count("[SEG]") == len(marked) > 0
    with Image.open(PHOTO) as photo:
        height, width = photo.height, photo.width
    for line in marked:
        assert f"'size': [{height}, {width}]" in line and "'counts': '" in line


@pytest.mark.slow
def test_curl(desk: Desk) -> None:
    (example,) = blocks(DOCS / "serve.md", "console")
    told = desk.bash(f"{example}echo $id\n")
    assert '"question":"What is in this photo?"' in told
    events = [line.removeprefix("data: ") for line in told.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]" and json.loads(events[-2])["turn"]["question"] == "Mark it."
    with Image.open(PHOTO) as photo, Image.open(desk.folder / "mask.png") as mask:
        assert mask.size == photo.size and np.asarray(mask).any()
    closed = f"{desk.address}/v1/sessions/{told.splitlines()[-1]}"
    assert httpx2.get(closed, trust_env=False).status_code == 404


@pytest.mark.slow
def test_a_downloaded_record_passes_the_tools(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with httpx2.Client(base_url=desk.address, trust_env=False, timeout=60) as http:
        name = http.post("/v1/sessions", files={"image": PHOTO.read_bytes()}).json()["id"]
        http.post(f"/v1/sessions/{name}/turns", json={"question": "What is it?"})
        http.post(f"/v1/sessions/{name}/turns", json={"question": "Mark it."})
        record = http.get(f"/v1/sessions/{name}/exports/prist")
    assert record.status_code == 200, record.text
    with zipfile.ZipFile(io.BytesIO(record.content)) as file:
        file.extractall(tmp_path)
    (command,) = (
        line for block in blocks(DOCS / "page.md", "bash") for line in block.splitlines() if "prist validate" in line
    )
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, command.split()[1:])
    assert done.exit_code == 0, done.output


@pytest.mark.slow
def test_a_file_of_requests(desk: Desk) -> None:
    """The command and the line of the page; only the photo is put in."""
    (line,) = (block for block in blocks(DOCS / "serve.md", "json") if "custom_id" in block)
    line = line.replace("data:image/jpeg;base64,…", data_uri(PHOTO.read_bytes()))
    (desk.folder / "requests.jsonl").write_text(line, encoding="utf-8")
    (command,) = (block for block in blocks(DOCS / "serve.md", "bash") if "miras batch" in block)
    command = command.strip().replace(".venv/bin/miras", f"{sys.executable} -m miras") + f" --model {desk.model}"
    done = subprocess.run(
        command, shell=True, cwd=desk.folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0 and "answered: 1" in done.stdout, done.stderr
    answer = json.loads((desk.folder / "answers.jsonl").read_text(encoding="utf-8"))
    assert (answer["id"], answer["custom_id"], answer["error"]) == ("line-1", "a", None)
    assert answer["response"]["body"]["choices"][0]["message"]["content"]


@pytest.mark.parametrize("page", ["serve.md", "deploy.md"])
def test_a_token_is_made_as_the_page_says(page: str, tmp_path: Path) -> None:
    text = [line for kind in ("bash", "text") for block in blocks(DOCS / page, kind) for line in block.splitlines()]
    (line,) = {line for line in text if line.endswith("> token.txt")}
    if shutil.which(program := line.split()[0]) is None:
        pytest.skip(f"{program} is not installed")
    subprocess.run(line, shell=True, cwd=tmp_path, timeout=30, check=True)
    assert len(read_token(tmp_path / "token.txt") or "") == 48


def test_the_page_names_every_route_and_every_form(tiny: Miras, tmp_path: Path) -> None:
    engine = Engine(tiny, tmp_path / "talks")
    try:
        paths = make_app(engine, ServerSettings()).openapi()["paths"]
    finally:
        engine.stop()
    (shown,) = (block for block in blocks(DOCS / "serve.md", "text") if "/v1/sessions" in block)
    there = {
        f"{method.upper()} {path.replace('{name}', '{id}').replace('{turn}', '{n}')}"
        for path, methods in paths.items()
        if path.startswith("/v1/sessions")
        for method in methods
    }
    assert {" ".join(line.split()[:2]) for line in shown.splitlines()} == there
    text = (DOCS / "serve.md").read_text(encoding="utf-8")
    assert not [path for path in paths if "sessions" not in path and path.replace("/{name}", "") not in text]
    assert not [form for form in FORMS if not re.search(rf"`{form}`", text)]
