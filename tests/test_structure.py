"""The shape of the code: which way imports point, how long files are, what is public, how files are named."""

import ast
import importlib
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "miras"

_WORDS = {"errors", "tokens", "types", "config", "settings", "files"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "tokens": {"errors"},
    "types": {"errors", "tokens"},
    "settings": {"errors"},
    "config": {"errors", "tokens", "settings"},
    "files": {"errors"},
    "provenance": set(),
    "data": _WORDS,
    "pages": _WORDS | {"data"},
    "waits": set(),
    "wheels": {"errors"},
    "llm": {
        "errors",
        "config",
        "files",
        "settings",
        "waits",
        "data.images",
    },  # data.images is the one way in for an image
    "model": _WORDS | {"data", "wheels"},
    # data.masks holds the one rule of what is fine, medium and coarse
    "metrics": {"errors", "files", "types", "wheels", "data.masks"},
    "sets": _WORDS | {"data", "pages", "wheels"},  # wheels says where the cache is
    "train": _WORDS | {"data", "sets", "model", "metrics"},
    "evaluate": _WORDS | {"data", "sets", "model", "metrics", "llm", "pages", "provenance"},
    "ablate": _WORDS | {"data", "model", "metrics", "train", "evaluate", "provenance"},
    "export": _WORDS | {"data", "model", "train", "provenance"},
    "engine": _WORDS | {"data", "model"},
    "serve": _WORDS | {"data", "model", "pages", "engine", "prist"},
    "prist": _WORDS | {"data", "pages", "waits"},
    "generate": _WORDS | {"data", "llm", "prist"},
    "annotate": _WORDS | {"data", "metrics", "pages", "prist"},
}
"""What each room may import besides itself. The command line and the package's own `__init__` are free."""
FREE = {"__init__", "__main__", "cli"}

LONGEST = 300
MEDIAN = 150
VAGUE = re.compile(r"(^|_)(utils?|common|misc|helpers?|v\d+)(_|$)")


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _code_files() -> list[Path]:
    return sorted(path for folder in ("src", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


def _dotted(path: Path) -> str:
    """`src/miras/data/masks.py` → `data.masks`; a package's `__init__` keeps that word."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def _is_module(dotted: str) -> bool:
    path = PACKAGE.joinpath(*dotted.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def _imports(source: str, importer: str) -> Iterator[str]:
    """Dotted names below `miras` that a module imports, inside functions too; "" is the package itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name[6:] for alias in node.names if alias.name.split(".")[0] == "miras")
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = ["miras", *importer.split(".")][: -node.level]
                base = ".".join([*above, *([base] if base else [])])
            if base.split(".")[0] == "miras":
                for alias in node.names:
                    inner = f"{base}.{alias.name}"[6:]
                    yield inner if _is_module(inner) else base[6:]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            if isinstance(name, str) and name.split(".")[0] == "miras":
                yield name[6:]


def _forbidden(source: str, importer: str) -> list[str]:
    """The imports that point the wrong way. The package itself offers the model, and counts as such."""
    room = importer.split(".")[0]
    if importer in FREE:
        return []
    allowed = MAY_IMPORT[room] | {room}
    names = [name or "model" for name in _imports(source, importer)]
    return [name for name in names if not any(f"{name}.".startswith(f"{a}.") for a in allowed)]


@pytest.mark.parametrize("path", _modules(), ids=_dotted)
def test_imports_point_one_way(path: Path) -> None:
    importer = _dotted(path)
    assert importer in FREE or importer.split(".")[0] in MAY_IMPORT, (
        f"{importer} is a room that nobody knows; add it to MAY_IMPORT with what it may import"
    )
    wrong = _forbidden(path.read_text(encoding="utf-8"), importer)
    assert not wrong, f"{importer} must not import {wrong}; it may import {sorted(MAY_IMPORT[importer.split('.')[0]])}"


@pytest.mark.parametrize(
    ("importer", "source", "wrong"),
    [
        ("types", "from miras import tokens", []),
        ("types", "from miras.data.masks import area", ["data.masks"]),
        ("data.photos", "from miras.data import masks\nimport miras.types as t", []),
        ("data.photos", "def late():\n    from miras.model.session import Session", ["model"]),
        ("metrics.masks", "from miras.data.masks import granularity\nfrom miras.data import masks", []),
        ("metrics.masks", "from miras.data import photos", ["data.photos"]),
        ("serve.chat", "import miras.train.loop", ["train.loop"]),
        ("serve.chat", "def late():\n    from miras import Miras", []),
        ("data.photos", "from miras import Miras", ["model"]),
        ("serve.chat", "from ..evaluate import protocol", ["evaluate"]),
        ("serve.chat", "from .. import evaluate", ["evaluate"]),
        ("train.loop", "import importlib\nimportlib.import_module('miras.serve.demo')", ["serve.demo"]),
        ("generate.pipeline", "if True:\n    from miras.model.session import Session", ["model"]),
        ("evaluate.photos", "import mirasol\nfrom torch import Tensor", []),
        ("cli", "from miras.serve.demo import run_demo", []),
    ],
)
def test_wrong_imports_are_seen(importer: str, source: str, wrong: list[str]) -> None:
    assert [name.removesuffix(".session") for name in _forbidden(source, importer)] == wrong


def test_no_file_is_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in _code_files()}
    long = {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > LONGEST}
    assert not long, f"no file may pass {LONGEST} lines; split by what is made there: {long}"
    median = statistics.median(lines for path, lines in lengths.items() if path.name != "__init__.py")
    assert median <= MEDIAN, f"the median file has {median} lines, at most {MEDIAN} is the rule"


def test_names_say_what_is_inside() -> None:
    parts = {part for path in _code_files() for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not (vague := sorted(part for part in parts if VAGUE.search(part))), f"name these by what they make: {vague}"


def _body(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Top-level statements, those under a top-level `if` or `try` too, nothing from inside functions and classes."""
    for node in statements:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _body([*node.body, *node.orelse])
        if isinstance(node, ast.Try):
            yield from _body([*node.finalbody, *(inner for handler in node.handlers for inner in handler.body)])


def _defined(tree: ast.Module) -> set[str]:
    """Public names that a module defines, imports not counted."""
    names: list[str] = []
    for node in _body(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            flat = [
                part for target in targets for part in ([target] if isinstance(target, ast.Name) else ast.walk(target))
            ]
            names += [part.id for part in flat if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]
    return {name for name in names if not name.startswith("_")}


def _order(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then the rest, each by the alphabet: the order that ruff keeps too."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name


@pytest.mark.parametrize("path", [path for path in _modules() if path.name != "__main__.py"], ids=_dotted)
def test_all_says_what_is_public(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path.name} needs a docstring: one line on what it is for"
    defined = _defined(tree)
    module = importlib.import_module(f"miras.{_dotted(path)}".removesuffix(".__init__"))
    exported: list[str] | None = getattr(module, "__all__", None)
    if path.name == "__init__.py" and exported is None:
        brought_in = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not defined and not brought_in, "an __init__ that holds more than a docstring needs __all__"
        return
    assert exported is not None, f"{_dotted(path)} needs __all__ = {sorted(defined, key=_order)}"
    assert list(exported) == sorted(exported, key=_order)
    assert defined <= set(exported), f"public, so add to __all__ or begin with _: {sorted(defined - set(exported))}"
    if path.name != "__init__.py":
        assert set(exported) <= defined, f"not defined here: {sorted(set(exported) - defined)}"
    assert not [name for name in exported if not hasattr(module, name)]
