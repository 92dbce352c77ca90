"""COCO's captions as conversations: one sentence that says what a photo shows."""

from collections import Counter
from pathlib import Path

from miras import tokens
from miras.errors import DataError
from miras.sets.entry import Entry, Need
from miras.sets.official import Present, none_left, read_json
from miras.sets.packed import Packed
from miras.sets.scene import Told
from miras.types import Dialogue, Turn

__all__ = ["COCO_CAPTIONS", "CaptionSet"]

_ASKED = Turn("user", "What does the image show?")


class CaptionSet:
    """The photos of a split, each with the captions that people wrote, a conversation each."""

    def __init__(self, root: Path, split: str) -> None:
        """Reads `captions_{split}2017.json`. Raises DataError for what is missing or broken."""
        path = root / "coco" / "annotations" / f"captions_{split}2017.json"
        if not path.is_file() and (beside := root / "annotations" / path.name).is_file():
            path = beside
        self.images = root / "coco" / f"{split}2017"
        self.left_out: Counter[str] = Counter()
        """Why photos or captions were left out → how many."""
        gathered = self._read(path)
        present = Present()
        there = {name: said for name, said in gathered.items() if said and self.images / name in present}
        self.left_out["photos without a caption"] = sum(not said for said in gathered.values())
        self.left_out["photos without an image file"] = sum(map(bool, gathered.values())) - len(there)
        if not there:
            raise none_left(path, self.left_out)
        self._records = Packed({"image": name, "captions": said} for name, said in there.items())

    def __len__(self) -> int:
        return len(self._records)

    def told(self, item: int) -> Told:
        """See TalkSet."""
        record = self._records[item]
        dialogues = (
            Dialogue((_ASKED, Turn("assistant", text)), image=record["image"], kind="caption")
            for text in record["captions"]
        )
        return Told(self.images / record["image"], tuple(dialogues))

    def _read(self, path: Path) -> dict[str, list[str]]:
        """File name of a photo → its captions, each a sentence with a capital and an end."""
        content = read_json(path, dict, "COCO's JSON of images and annotations")
        try:
            names = {one["id"]: str(one["file_name"]) for one in content["images"]}
            gathered: dict[str, list[str]] = {name: [] for name in names.values()}
            for one in content["annotations"]:
                text = " ".join(str(one["caption"]).split())
                if len(text) < 2 or any(token in text for token in tokens.SPECIAL):
                    self.left_out["captions without words"] += 1
                else:
                    gathered[names[one["image_id"]]].append(_sentence(text))
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path} should be COCO's JSON of images and annotations with captions, got {error!r:.80}; "
                "fetch it again"
            ) from error
        return gathered


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text[-1] in ".?!" else ".")


COCO_CAPTIONS = Entry(
    name="coco_captions",
    title="COCO Captions",
    needs=(
        Need("coco/annotations/captions_train2017.json", "captions", ("train",)),
        Need("coco/annotations/captions_val2017.json", "captions", ("val",)),
        Need("coco/train2017", "photos of COCO 2017", ("train",)),
        Need("coco/val2017", "photos of COCO 2017", ("val",)),
    ),
    where="https://cocodataset.org/#download",
    licence="images: their owners' on Flickr; annotations: CC BY 4.0",
    open=CaptionSet,
    counts={"train": "118,287 images, 591,753 captions", "val": "5,000 images, 25,014 captions"},
)
