"""The Containerfile, read line by line: what it copies is there, what it installs and starts is what the rest says."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

from typer.main import get_command

from miras.cli import app

ROOT = Path(__file__).resolve().parents[2]


def _instructions() -> list[tuple[str, str]]:
    """(instruction, the rest) in order, continued lines joined, comments left out."""
    lines = (ROOT / "Containerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", text)
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in joined.splitlines() if line.strip()]


def _all(kind: str) -> list[str]:
    return [rest for found, rest in _instructions() if found == kind]


def _makefile(name: str) -> str:
    match = re.search(rf"^{name} \??:?= (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert match, f"the Makefile sets no {name}"
    return match[1]


def test_only_known_instructions() -> None:
    known = "FROM ARG RUN WORKDIR COPY ENV USER VOLUME EXPOSE HEALTHCHECK STOPSIGNAL ENTRYPOINT CMD"
    assert {kind for kind, _ in _instructions()} <= set(known.split())
    assert _instructions()[0] == ("FROM", "docker.io/library/python:3.11-slim")


def test_everything_copied_is_there_and_reaches_the_builder() -> None:
    let_in = {line[1:] for line in (ROOT / ".containerignore").read_text(encoding="utf-8").split() if line[0] == "!"}
    copied = {source for rest in _all("COPY") for source in shlex.split(rest)[:-1]}
    assert copied == let_in
    assert not [source for source in copied if not (ROOT / source).exists()]


def test_what_is_built_from_is_copied() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    copied = {source for rest in _all("COPY") for source in shlex.split(rest)[:-1]}
    assert 'readme = "README.md"' in project and 'license-files = ["LICENSE", "src/' in project
    assert {"README.md", "LICENSE", "src", "pyproject.toml"} <= copied


def test_packages_are_those_of_the_makefile() -> None:
    settings = dict(rest.split("=", 1) for rest in _all("ARG"))
    assert settings == {"TORCH": _makefile("TORCH"), "CPU_INDEX": _makefile("CPU_INDEX")}
    installs = [shlex.split(run) for run in _all("RUN") if "pip install" in run]
    assert [line[-1] for line in installs] == ["torch==$TORCH", ".[quick,serve]"], "torch comes first and alone"
    assert installs[0][installs[0].index("--index-url") + 1] == "$CPU_INDEX"
    assert "serve = [" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_command_starts() -> None:
    words = json.loads(_all("ENTRYPOINT")[0]) + json.loads(_all("CMD")[0])
    command: Any = get_command(app).commands["serve"]  # type: ignore[attr-defined]
    assert words[:2] == ["miras", "serve"]
    given = command.make_context("serve", words[2:]).params
    assert given["host"] == "0.0.0.0" and str(given["folder"]) in _all("VOLUME") and given["token_file"] is not None
    assert str(given["port"]) in _all("EXPOSE")
    assert f":{given['port']}/healthz" in _all("HEALTHCHECK")[0]


def test_nobody_is_root() -> None:
    kinds = [kind for kind, _ in _instructions()]
    assert kinds.index("USER") < kinds.index("ENTRYPOINT") and _all("USER") == ["miras"]
    assert "RUN" not in kinds[kinds.index("USER") :]
    assert "token" not in " ".join(_all("ENV")).lower(), "a secret in ENV is in the image"
