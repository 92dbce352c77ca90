"""Referring expressions in their official files, `refs(PARTITION).p` and `instances.json`: RefCOCO, +, g, RefCLEF.

A folder holds one folder per set and the images, as most projects of the field lay them out::

    refer_seg/refcoco/refs(unc).p        a pickle: who is meant by which sentences, and in which split
    refer_seg/refcoco/instances.json     COCO's JSON: images and the outlines of what is meant
    refer_seg/images/mscoco/images/train2014/COCO_train2014_000000000009.jpg

A pickle can run code when it is opened. Here it is read as data alone: lists, dicts, texts and numbers come in, and a
file that names anything else is refused.
"""

import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from miras.data.outlines import read_outline
from miras.errors import DataError
from miras.types import Rle

__all__ = ["IMAGES", "PARTITIONS", "Expression", "Ref", "load_refs", "read_plain_pickle"]

PARTITIONS: dict[str, tuple[str, ...]] = {
    "refcoco": ("unc", "google"),
    "refcoco+": ("unc",),
    "refcocog": ("umd", "google"),
    "refclef": ("unc", "berkeley"),
}
"""Each set and who has cut it into splits, the usual one first."""

IMAGES = dict.fromkeys(PARTITIONS, "images/mscoco/images/train2014") | {"refclef": "images/saiapr_tc-12"}
"""Each set and its folder of images below the folder that holds it."""


@dataclass(frozen=True)
class Expression:
    """One sentence that picks a thing out."""

    id: int
    text: str


@dataclass(frozen=True)
class Ref:
    """One thing in one image, and the sentences that people said of it."""

    id: int
    split: str
    """As its file has it: train, val, test, testA, testB, and for RefCLEF also testC, testAB, …"""
    expressions: tuple[Expression, ...]
    category: str
    image: str
    """File name below the folder of images."""
    size: tuple[int, int]
    """(height, width) in pixels."""
    crowd: bool = False
    """Whether it is a group that was not outlined one by one."""
    outline: Any = field(default=None, repr=False)
    """COCO's `segmentation`: polygons, run lengths, or nothing."""
    where: str = field(default="the ref", repr=False)
    """File and annotation, for complaints."""

    def mask(self) -> Rle | None:
        """The pixels of all its polygons together; None where none is drawn. Raises DataError for a broken outline."""
        return read_outline(self.outline, *self.size, self.where)


def load_refs(root: str | Path, name: str, partition: str, split: str) -> Iterator[Ref]:
    """The refs of one split, in file order; masks are drawn only when they are asked for.

    `root` is the folder that holds the sets, or the one that holds it as `refer_seg`. A split of testA takes every ref
    whose split names A, one of test every ref whose split begins with test, as the set's own reader does. Raises
    DataError for files that are missing or broken, and for a split that no ref is in.
    """
    folder = _folder(Path(root), name)
    pickled, instances = folder / f"refs({partition}).p", folder / "instances.json"
    refs = read_plain_pickle(pickled)
    if not isinstance(refs, list) or not all(isinstance(ref, dict) for ref in refs):
        raise DataError(f"{pickled} should hold a list of refs, got {refs!r:.80}; fetch the file again")
    wanted = [(place, ref) for place, ref in enumerate(refs) if _in_split(str(ref.get("split")), split)]
    if not wanted:
        found = sorted({str(ref.get("split")) for ref in refs})
        raise DataError(f"{pickled} has no ref in the split {split!r}; it has {', '.join(found)}")
    content = _instances(instances)
    return (_ref(ref, content, f"{pickled}, ref {place}", instances) for place, ref in wanted)


def read_plain_pickle(path: Path) -> Any:
    """What a pickle holds, if it is lists, dicts, texts and numbers; texts of Python 2 are read as latin-1.

    Raises DataError where the file names a class or a function, which could run code, or is no pickle.
    """
    try:
        with path.open("rb") as file:
            return _Plain(file, encoding="latin1").load()
    except FileNotFoundError as error:
        raise DataError(f"no file at {path}; see docs/benchmarks.md for the files and where they come from") from error
    except Exception as error:  # a broken pickle can end in any error
        raise DataError(f"{path} cannot be read as plain data: {error or 'it is cut off'}; fetch it again") from error


class _Plain(pickle.Unpickler):
    """Reads no name at all: what is not a plain container or a number would have to be looked up by name."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which could run code")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("it asks for an object that lies elsewhere")


@dataclass(frozen=True)
class _Instances:
    images: Mapping[Any, Mapping[str, Any]]
    annotations: Mapping[Any, Mapping[str, Any]]
    categories: Mapping[Any, str]


def _folder(root: Path, name: str) -> Path:
    if name not in PARTITIONS:
        raise DataError(f"there is no set {name!r}; the sets are {', '.join(PARTITIONS)}")
    for folder in (root / name, root / "refer_seg" / name):
        if folder.is_dir():
            return folder
    raise DataError(
        f"no folder {name} in {root} nor in {root / 'refer_seg'}; it should hold refs({PARTITIONS[name][0]}).p and "
        "instances.json, see docs/benchmarks.md for where they come from"
    )


def _in_split(split: str, wanted: str) -> bool:
    if wanted in ("testA", "testB", "testC"):
        return split.startswith("test") and wanted[-1] in split
    return split.startswith("test") if wanted == "test" else split == wanted


def _instances(path: Path) -> _Instances:
    try:
        content = json.loads(path.read_bytes())
        return _Instances(
            {one["id"]: one for one in content["images"]},
            {one["id"]: one for one in content["annotations"]},
            {one["id"]: one["name"] for one in content["categories"]},
        )
    except FileNotFoundError as error:
        raise DataError(f"no file at {path}; see docs/benchmarks.md for the files and where they come from") from error
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(
            f"{path} should be COCO's JSON of images, annotations and categories, got {error!r:.80}; fetch it again"
        ) from error


def _ref(ref: Mapping[str, Any], known: _Instances, where: str, instances: Path) -> Ref:
    try:
        drawn, image = known.annotations[ref["ann_id"]], known.images[ref["image_id"]]
        sentences = tuple(Expression(int(one["sent_id"]), str(one["sent"])) for one in ref["sentences"])
        return Ref(
            id=int(ref["ref_id"]),
            split=str(ref["split"]),
            expressions=sentences,
            category=known.categories[ref["category_id"]],
            image=str(image["file_name"]),
            size=(int(image["height"]), int(image["width"])),
            crowd=bool(drawn.get("iscrowd")),
            outline=drawn.get("segmentation"),
            where=f"{instances}, annotation {ref['ann_id']}",
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{where} should name ref_id, ann_id, image_id, category_id, split and sentences that {instances.name} "
            f"knows, got {error!r}; take both files from one archive"
        ) from error
