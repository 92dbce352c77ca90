"""What tests of data sets share: the whole tree in little, and a cache of their own."""

from pathlib import Path

import pytest
from tests.sets.tree import write_tree


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all sets, which no test changes."""
    return write_tree(tmp_path_factory.mktemp("sets"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRAS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
