"""PRIST as conversations, with masks from its records or from labelme's files."""

from collections import Counter
from pathlib import Path
from typing import Any

from miras.data import prist
from miras.data.images import image_size
from miras.data.labelme import Labelled, read_labelme
from miras.data.masks import encode
from miras.sets.entry import Entry, Need
from miras.sets.official import Present, none_left
from miras.sets.packed import Packed
from miras.sets.scene import Told
from miras.types import Rle

__all__ = ["PRIST", "PristSet"]


class PristSet:
    """The dialogues of a split whose image and mask are there; a last answer marks `[OBJ]{focus}[SEG]`.

    A mask is the record's own, or that of the shapes in the labelme file of its image whose label is exactly the focus;
    the file lies beside the image or in `masks/`.
    """

    def __init__(self, root: Path, split: str) -> None:
        """Reads `{root}/prist/{split}.json` and draws all masks. Raises DataError for what is missing or broken."""
        folder = root / "prist"
        path = folder / f"{split}.json"
        self.images = folder / "images"
        self.left_out: Counter[str] = Counter()
        """Why dialogues were left out → how many."""
        self._folders = (self.images, folder / "masks")
        self._opened: tuple[str, Labelled | None] = ("", None)
        present, kept = Present(), []
        for place, one in enumerate(prist.read(path)):
            record = prist.require(one, f"{path}, record {place}")
            found = self._mask(record) if self.images / record["img_id"] in present else "without an image file"
            if isinstance(found, str):
                self.left_out[found] += 1
            else:
                kept.append({**record, "mask": found})
        if not kept:
            raise none_left(path, self.left_out)
        self._records = Packed(kept)

    def __len__(self) -> int:
        return len(self._records)

    def told(self, item: int) -> Told:
        """See TalkSet."""
        record = self._records[item]
        return Told(self.images / record["img_id"], (prist.to_dialogue(record),))

    def _mask(self, record: dict[str, Any]) -> Rle | str:
        """The mask of a record, or why there is none that can be used."""
        mask: Rle | None = record.get("mask")
        if mask is None:
            labelled = self._labelled(record["img_id"])
            drawn = None if labelled is None else labelled.mask(record["focus"])
            if drawn is None or not drawn.any():
                return "without a mask"
            mask = encode(drawn)
        if tuple(mask["size"]) != image_size(self.images / record["img_id"]):
            return "with a mask of another size than the image"
        return mask

    def _labelled(self, name: str) -> Labelled | None:
        """The labelme file of an image; the last one read is kept, as dialogues about one image follow each other."""
        if self._opened[0] != name:
            paths = [folder / Path(name).with_suffix(".json") for folder in self._folders]
            path = next((path for path in paths if path.is_file()), None)
            self._opened = (name, None if path is None else read_labelme(path))
        return self._opened[1]


PRIST = Entry(
    name="prist",
    title="PRIST",
    needs=(
        Need("prist/train.json", "dialogues", ("train",)),
        Need("prist/val.json", "dialogues", ("val",)),
        Need("prist/images", "images, and labelme files where the dialogues hold no masks"),
    ),
    where="https://github.com/ccccai239/PixelRIST",
    licence="images of OpenImages with their terms; none is stated for the dialogues",
    open=PristSet,
    counts={"train": "7,312 dialogues", "val": "500 dialogues"},
)
