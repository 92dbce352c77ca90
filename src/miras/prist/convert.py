"""From one format of PRIST to another, over the records of `miras.data.prist`."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from miras.data.labelme import Labelled, read_labelme
from miras.data.masks import encode
from miras.data.prist import read, require, write
from miras.errors import ConfigError, DataError, DialogueError
from miras.prist.formats import coco, labelme, llava, parquet

__all__ = ["FormatName", "convert", "open_records", "with_masks", "without_final", "write_records"]

FormatName = Literal["prist", "llava", "parquet", "coco", "labelme"]
_Record = dict[str, Any]


class _Format(NamedTuple):
    write: Callable[[Sequence[_Record], Path, Path | None], None]
    read: Callable[[Path], list[_Record]]


def _write_prist(records: Sequence[_Record], out: Path, images: Path | None = None) -> None:
    write(records, out)


_FORMATS: dict[FormatName, _Format] = {
    "prist": _Format(_write_prist, read),
    "llava": _Format(llava.write, llava.read),
    "parquet": _Format(parquet.write, parquet.read),
    "coco": _Format(coco.write, coco.read),
    "labelme": _Format(labelme.write, labelme.read),
}


def convert(
    source: Path,
    out: Path,
    *,
    to: FormatName,
    given: FormatName | None = None,
    images: Path | None = None,
    masks: Path | None = None,
    drop_final: bool = False,
) -> int:
    """Writes `source` as `out` and returns the number of records.

    `given` names the format of the source where it cannot be told from it; `masks` is a folder of labelme files whose
    shapes become the masks of records without one; `drop_final` leaves out the segmentation turn, for plain visual
    question answering. Raises DataError for what cannot be read or written so; then nothing is written.
    """
    records = open_records(source, given)
    if masks is not None:
        records = with_masks(records, masks)
    if drop_final:
        if to not in ("llava", "prist"):
            raise ConfigError(f"dialogues without their last turn have no mask, so {to} does not hold them; use llava")
        records = [without_final(record) for record in records]
    write_records(records, out, to, images)
    return len(records)


def open_records(path: Path, given: FormatName | None = None) -> list[_Record]:
    """The records of a file or folder in any of the formats; each follows the rules, else DialogueError names it."""
    records = _FORMATS[given or _told(path)].read(path)
    return [require(record, f"{path}, record {index}") for index, record in enumerate(records)]


def write_records(records: Sequence[_Record], out: Path, to: FormatName, images: Path | None = None) -> None:
    """Writes the records; the folder of `images` is needed where the format holds them or their size."""
    _FORMATS[to].write(records, out, images)


def _told(path: Path) -> FormatName:
    """The format that a path is in, by its kind and its first letters."""
    if path.is_dir():
        return "labelme"
    if path.suffix == ".parquet":
        return "parquet"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"nothing at {path}; check the path") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not JSON ({error}); name its format, one of {get_args(FormatName)}") from error
    if isinstance(content, dict) and "annotations" in content:
        return "coco"
    first = content[0] if isinstance(content, list) and content else None
    return "llava" if isinstance(first, dict) and "conversations" in first else "prist"


def with_masks(records: Sequence[_Record], folder: Path) -> list[_Record]:
    """The records with masks from a folder of labelme files, by exact label; masks that are there stay."""
    files: dict[str, Labelled] = {}
    done = []
    for index, record in enumerate(records):
        stem = Path(record["img_id"]).stem
        if record.get("mask") is None:
            file = files[stem] if stem in files else files.setdefault(stem, read_labelme(folder / f"{stem}.json"))
            mask = file.mask(record["focus"])
            if mask is None or not mask.any():
                raise DataError(
                    f"record {index}: no shape in {stem}.json is labelled exactly {record['focus']!r}, there are "
                    f"{list(file.labels)}; `miras prist validate --masks` lists all of these"
                )
            record = {**record, "mask": encode(mask)}
        done.append(record)
    return done


def without_final(record: _Record) -> _Record:
    """The record without its last question and answer, its focus and its mask."""
    if len(record["dialogue"]) < 4:
        raise DialogueError(f"{record['img_id']} has one turn alone, nothing is left without it; leave it out")
    kept = {name: value for name, value in record.items() if name not in ("focus", "mask")}
    return {**kept, "dialogue": record["dialogue"][:-2]}
