"""Features of frozen encoders, computed once per image and kept in a folder, for all runs with the same encoders.

FOLDER/images.jsonl                  which file has which content, so that no image is read twice for that
FOLDER/{encoders}/ab/abcd….safetensors   the features of one image, named by its pixels; whole or absent
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from miras.config import TrainConfig
from miras.data.images import load_image
from miras.errors import ConfigError, DataError
from miras.files import write_beside
from miras.model.features import FrozenEncoders
from miras.model.miras import Miras
from miras.train.batches import Batches
from miras.train.validate import Cases
from miras.types import Sample

__all__ = ["FeatureStore", "Pictures", "fill", "kept_features"]

_INDEX = "images.jsonl"
_DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@runtime_checkable
class Pictures(Protocol):
    """A source whose samples show images as they are in their files."""

    def pictures(self) -> Sequence[Path]:
        """The files of all images that its samples may show."""


class FeatureStore:
    """Image → features, in files that any process may read."""

    def __init__(self, folder: Path, encoders: str) -> None:
        self.folder, self.root = folder / encoders, folder
        self._index = self._read_index()

    def __call__(self, image: np.ndarray) -> Mapping[str, Tensor]:
        """The features of an image (H, W, 3). Raises DataError when none are kept."""
        path = self.path(_content(image))
        if not path.is_file():
            raise DataError(
                f"no features of an image of {image.shape[1]} x {image.shape[0]} pixels in {self.folder}; features are "
                "kept of images as they are in their files: let nothing change them, or set features to null"
            )
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise DataError(f"{path} is broken ({error}); delete it, and it is made again") from error

    def path(self, content: str) -> Path:
        """Where the features of an image of that content are kept."""
        return self.folder / content[:2] / f"{content}.safetensors"

    def has(self, file: Path) -> bool:
        """Whether the features of a file are kept, as far as that is known without reading it."""
        content = self._index.get(_stand(file))
        return content is not None and self.path(content).is_file()

    def note(self, file: Path, content: str) -> None:
        """Remember the content of a file."""
        stand = _stand(file)
        self._index[stand] = content
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / _INDEX).open("a", encoding="utf-8") as index:
            index.write("\n" + json.dumps([*stand, content]))  # a line that an interrupt cut off ends here

    def write(self, content: str, features: Mapping[str, Tensor]) -> int:
        """Keep the features of one image; gives the bytes they take."""
        path = self.path(content)
        with write_beside(path) as beside:
            save_file({name: tensor.contiguous() for name, tensor in features.items()}, beside)
        return path.stat().st_size

    def _read_index(self) -> dict[tuple[str, int, int], str]:
        path = self.root / _INDEX
        known: dict[tuple[str, int, int], str] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
            try:
                name, size, changed, content = json.loads(line)
            except ValueError:  # empty or cut off
                continue
            known[name, size, changed] = content
        return known


def kept_features(
    config: TrainConfig, model: Miras, batches: Batches, cases: Cases | None, console: Console
) -> FeatureStore:
    """The features of all images of a run and of its validation, after which the model holds those encoders no longer.

    Raises ConfigError for a source or a part that does not allow it, and where the disk is too small.
    """
    files: dict[Path, None] = {}
    for source in (*batches.sources, *([] if cases is None else [cases])):
        if not isinstance(source, Pictures):
            raise ConfigError(
                f"{type(source).__name__} makes its own images, whose features cannot be kept; leave it out"
            )
        files |= dict.fromkeys(source.pictures())
    tokens = config.text == "joint" or config.loss.naming > 0
    encoders = FrozenEncoders(model, tokens=tokens)
    name = f"{encoders.fingerprint()}-{config.features_dtype}"
    store = FeatureStore(Path(str(config.features)), name)
    collator = batches.collator(config.image_size)
    dtype = _DTYPES[config.features_dtype]
    autocast = config.precision == "bf16" and model.device.type == "cuda"

    def look(images: Sequence[np.ndarray]) -> list[dict[str, Tensor]]:
        batch = collator.masks_only([Sample(image, ()) for image in images]).to(model.device)
        batch.high = batch.high.contiguous(memory_format=torch.channels_last)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=autocast), _evaluating(model):
            found = encoders.look(batch)
        return [{name: each[row].to(dtype).cpu() for name, each in found.items()} for row in range(len(images))]

    fill(store, list(files), look, console)
    encoders.leave()
    return store


def fill(
    store: FeatureStore,
    files: Sequence[Path],
    look: Callable[[Sequence[np.ndarray]], list[dict[str, Tensor]]],
    console: Console,
) -> None:
    """Keep the features of every file that has none yet; what is kept when it is interrupted stays.

    Says beforehand how much there is, and what is still to come. Raises ConfigError where the disk is too small.
    """
    missing = [file for file in files if not store.has(file)]
    told = f"features of {len(files)} images in {store.folder}: {len(files) - len(missing)} are there"
    if not missing:
        console.print(told, highlight=False)
        return
    size = _add(store, missing[0], look)
    _check_room(store, size * (len(missing) - 1))
    console.print(f"{told}, the others take {_size(size)} each, {_size(size * len(missing))}", highlight=False)
    columns = (TextColumn("features"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        for file in progress.track(missing[1:]):
            _add(store, file, look)


def _add(store: FeatureStore, file: Path, look: Callable[[Sequence[np.ndarray]], list[dict[str, Tensor]]]) -> int:
    """Keep the features of one file; gives the bytes they take."""
    image = load_image(file)
    content = _content(image)
    path = store.path(content)
    size = path.stat().st_size if path.is_file() else store.write(content, look([image])[0])
    store.note(file, content)
    return size


def _check_room(store: FeatureStore, wanted: int) -> None:
    free = shutil.disk_usage(store.folder).free
    if wanted > free:
        raise ConfigError(
            f"features needs {_size(wanted)} more in {store.root}, which has {_size(free)} left; name another folder "
            "or set features to null"
        )


def _content(image: np.ndarray) -> str:
    """A hash of an image's pixels."""
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def _stand(file: Path) -> tuple[str, int, int]:
    """What says that a file is still the same: its path, size and time of change."""
    try:
        state = file.stat()
    except OSError as error:
        raise DataError(f"no image at {file} ({error.strerror}); check the path") from error
    return str(file.resolve()), state.st_size, state.st_mtime_ns


def _size(count: int) -> str:
    """Bytes in words."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e7 else f"{count / 1e6:.2g} MB"


@contextmanager
def _evaluating(model: Miras) -> Iterator[None]:
    """Within, nothing is dropped at random."""
    was = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was)
