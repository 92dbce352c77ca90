"""The command line: quick help, one-line errors, codes, and what it hands on."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from miras.cli import app
from miras.errors import ImageError

Calls = list[tuple[tuple[Any, ...], dict[str, Any]]]


def _stand_in(monkeypatch: pytest.MonkeyPatch, module: str, name: str, error: BaseException | None = None) -> Calls:
    """Puts a function that notes its calls, or raises, where a command looks for its work."""
    calls: Calls = []

    def work(*args: Any, **kwargs: Any) -> None:
        calls.append((args, kwargs))
        if error is not None:
            raise error

    fake = ModuleType(module)
    setattr(fake, name, work)
    monkeypatch.setitem(sys.modules, module, fake)
    return calls


@pytest.fixture
def run() -> Callable[..., Any]:
    return lambda *args: CliRunner().invoke(app, list(args))


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    heavy = ["torch", "transformers", "numpy", "PIL", "pydantic", "yaml"]
    code = (
        "import sys\nfrom miras.cli import app\n"
        "try:\n    app(['--help'])\n"
        f"finally:\n    print('loaded:', [name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "loaded: []" in done.stdout
    assert all(name in done.stdout for name in ("demo", "chat", "train", "evaluate"))


def test_version(run: Callable[..., Any]) -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("miras")


def test_own_errors_are_one_line_with_code_2(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, "miras.serve.chat", "run_chat", ImageError("no image at x.png;\ncheck the path"))
    result = run("chat", "x.png")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "miras: no image at x.png; check the path\n"


def test_errors_below_a_group_of_commands_too(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, "miras.evaluate.photos.protocol", "run_photos", ImageError("broken"))
    result = run("evaluate", "photos", "--data", "d", "--out", "o.json")
    assert (result.exit_code, result.stderr) == (2, "miras: broken\n")


def test_a_bug_is_not_hidden(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, "miras.serve.demo", "run_demo", ZeroDivisionError("a bug"))
    result = run("demo")
    assert isinstance(result.exception, ZeroDivisionError)


def test_ctrl_c_ends_with_130(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, "miras.serve.demo", "run_demo", KeyboardInterrupt())
    result = run("demo")
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("args", "module", "name", "expected"),
    [
        (["demo"], "miras.serve.demo", "run_demo", ((Path("demo_out"),), {})),
        (["demo", "--out", "there"], "miras.serve.demo", "run_demo", ((Path("there"),), {})),
        (
            ["chat", "a.jpg"],
            "miras.serve.chat",
            "run_chat",
            ((Path("a.jpg"), "nano", Path("chat_out")), {"decode": "float"}),
        ),
        (["train", "c.yaml"], "miras.train.command", "train", ((Path("c.yaml"), []), {})),
        (
            ["train", "c.yaml", "steps=3", "seed=1"],
            "miras.train.command",
            "train",
            ((Path("c.yaml"), ["steps=3", "seed=1"]), {}),
        ),
        (
            ["evaluate", "photos", "--data", "d", "--out", "o.json", "--limit", "5"],
            "miras.evaluate.photos.protocol",
            "run_photos",
            ((), {"data": Path("d"), "split": "val", "out": Path("o.json"), "model": "nano", "limit": 5, "seed": 0}),
        ),
    ],
)
def test_commands_hand_on_what_was_typed(
    run: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    module: str,
    name: str,
    expected: tuple[tuple[Any, ...], dict[str, Any]],
) -> None:
    calls = _stand_in(monkeypatch, module, name)
    assert run(*args).exit_code == 0
    assert calls == [expected]
