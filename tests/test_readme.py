"""What the documents say is so: the README's tree, every command, every configuration's first line, every link."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.documents import FENCE, blocks
from typer.main import get_command

from miras.cli import app

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "miras"
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

_TREE_LINE = re.compile(r"^(?P<indent> *)(?P<name>[^\s#]+)(?:\s+# (?P<comment>\S.*))?$")
_LINK = re.compile(r"\]\(([^)\s]+)[^)]*\)")
_OTHER_PROGRAMS = {"cd", "export", "git", "pip", "tensorboard"}


def _tree() -> dict[str, str]:
    """Paths of the README's tree with their comments; two spaces of indent per folder."""
    block = next(body for body in blocks(README, "text") if "src/miras/" in body)
    found: dict[str, str] = {}
    above: list[str] = []
    for line in block.splitlines():
        match = _TREE_LINE.match(line)
        assert match, f"a line of the tree is `name   # comment`, got {line!r}"
        above = above[: len(match["indent"]) // 2]
        found["".join([*above, match["name"]])] = match["comment"] or ""
        above.append(match["name"])
    return found


def _first_line(path: Path) -> str:
    return path.read_text(encoding="utf-8").split('"""')[1].splitlines()[0].rstrip(".")


def test_tree_lists_every_file_of_the_package() -> None:
    tree = _tree()
    modules = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"]
    missing = [path for path in modules if not tree.get(path.relative_to(ROOT).as_posix())]
    lines = "\n".join(f"{path.relative_to(ROOT)}   # {_first_line(path)}" for path in missing)
    assert not missing, f"the README's tree lacks, or leaves without a comment:\n{lines}"
    assert not (gone := [name for name in tree if not (ROOT / name).exists()]), f"the tree lists what is gone: {gone}"


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def _check_miras(words: list[str]) -> None:
    command: Any = get_command(app)
    if words in (["--help"], ["--version"]):
        return
    while hasattr(command, "commands"):
        if words == ["--help"]:
            return
        assert words, f"miras {command.name} needs one of {sorted(command.commands)}"
        assert words[0] in command.commands, f"miras has no command {words[0]!r}, only {sorted(command.commands)}"
        command, words = command.commands[words[0]], words[1:]
    if words == ["--help"]:
        return
    command.make_context(command.name, list(words))  # parses options and arguments, runs nothing


def _check(line: str) -> None:
    """Raises when a line of a shell block could not be typed as it stands."""
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    if not words:
        return
    program, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    if program == "make":
        wanted = {word for word in rest if "=" not in word}
        assert wanted <= _targets(), f"the Makefile has no target {sorted(wanted - _targets())}"
    elif program == "torchrun":
        started = rest.index(".venv/bin/miras")
        assert all(word.startswith("--") or word.isdigit() for word in rest[:started])
        _check_miras(rest[started + 1 :])
    elif program == "miras":
        _check_miras(rest)
    elif program == "python":
        assert rest, "python alone is no command"
        assert (ROOT / rest[0]).is_file() or rest[0] in ("-m", "-c"), f"no file {rest[0]}"
    else:
        assert program in _OTHER_PROGRAMS, f"{program} is not known here"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_of_documents_exist(path: Path) -> None:
    for block in blocks(path, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|;|\|", line):
                try:
                    _check(part)
                except Exception as error:
                    pytest.fail(f"{path.name}: `{part.strip()}`: {error}")


def test_readme_shows_the_two_commands() -> None:
    shown = "\n".join(blocks(README, "bash"))
    assert "make demo" in shown
    assert "make test" in shown


@pytest.mark.parametrize(
    "line",
    [
        "make no-such-target",
        "miras",
        "miras no-such-command",
        "miras chat",
        "miras chat a.jpg --no-such-option 3",
        "miras evaluate photos --data d --out o.json --limit many",
        "python benchmarks/no_such_file.py",
        "no-such-program",
    ],
)
def test_wrong_commands_are_seen(line: str) -> None:
    with pytest.raises(Exception, match=r"\w"):
        _check(line)


def test_every_configuration_names_its_command_and_loads() -> None:
    for path in sorted((ROOT / "configs").glob("*.y*ml")):
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8")
        first = text.splitlines()[0]
        assert first.startswith("# miras "), f"{name} begins with the command that uses it, got {first!r}"
        assert name in first, f"the first line of {name} names another file: {first!r}"
        _check(first.removeprefix("# "))
        assert isinstance(yaml.safe_load(text), dict), f"{name} holds no settings"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    links = [link.split("#")[0] for link in _LINK.findall(text) if not re.match(r"[a-z]+:", link)]
    assert not (broken := [link for link in links if link and not (path.parent / link).exists()]), broken
