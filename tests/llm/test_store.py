"""The store: what was kept is there after a kill, once."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from miras.errors import ConfigError, DataError
from miras.llm.store import Reply, Store, key_of


def test_what_is_kept_comes_back_once(tmp_path: Path) -> None:
    with Store(tmp_path / "run" / "run.sqlite") as store:
        store.keep("k", Reply("one", 10, 5, 0.25))
        store.keep("k", Reply("two", 99, 99, 9.0))
        store.finish("b", {"records": ["é"]})
        store.finish("a", {"records": []})
        store.finish("a", {"records": ["later"]})
        store.write_down("form", "words")
    with Store(tmp_path / "run" / "run.sqlite") as again:
        assert again.reply("k") == Reply("one", 10, 5, 0.25) and again.reply("other") is None
        assert again.spent() == (1, 10, 5)
        assert list(again.items()) == [{"records": []}, {"records": ["é"]}] and again.finished() == {"a", "b"}
        assert again.note("form") == "words" and again.note("other") is None


def test_a_run_in_one_folder_has_one_setting(tmp_path: Path) -> None:
    with Store(tmp_path / "run.sqlite") as store:
        store.claim({"seed": 0, "teacher": "a"})
        store.claim({"teacher": "a", "seed": 0})
        with pytest.raises(ConfigError, match="begun otherwise \\(teacher 'a' → 'b'\\)"):
            store.claim({"seed": 0, "teacher": "b"})


def _keep_and_die(path: Path) -> None:
    store = Store(path)
    for index in range(100):
        store.keep(str(index), Reply("x"))
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_keep_and_die, args=(tmp_path / "run.sqlite",))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    with Store(tmp_path / "run.sqlite") as store:
        assert store.spent()[0] == 100


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a data base, but longer than a header of one hundred bytes" * 4)
    with pytest.raises(DataError, match=r"notes\.txt is not the store of a run"):
        Store(tmp_path / "notes.txt")


def test_keys_differ_by_content_alone() -> None:
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1}) != key_of({"a": 1, "b": [3]})
