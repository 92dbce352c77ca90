"""Hugging Face parquet: one row per dialogue with its image, turns, focus and mask, which `load_dataset` opens as is.

Written in row groups, so that memory does not grow with the data. Needs the extra `prist`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from miras.errors import ConfigError, DataError, ImageError
from miras.files import write_beside

__all__ = ["read", "unpack", "write"]

_ROWS = 64
"""Rows whose images are in memory at a time."""
_FIELDS = ("img_id", "dialogue", "focus", "mask")


def write(records: Sequence[dict[str, Any]], out: Path, images: Path | None = None) -> None:
    """Writes one parquet file; with a folder of images their bytes go in, without one the column is null.

    A record's own fields, and those of its turns, are kept as JSON text under `extra`. Raises ImageError for an image
    that is missing.
    """
    pa, pq = _arrow()
    schema = _schema()
    with write_beside(out) as beside, pq.ParquetWriter(beside, schema) as writer:
        for start in range(0, len(records), _ROWS):
            rows = [_row(record, images) for record in records[start : start + _ROWS]]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a file that `write` wrote, its images left where they are."""
    _, pq = _arrow()
    try:
        rows = pq.read_table(path, columns=[*_FIELDS, "extra"]).to_pylist()
        return [_record(row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a parquet file of PRIST dialogues ({error}); write it again") from error


def unpack(path: Path, folder: Path) -> int:
    """Writes the images that a parquet file holds, each once, byte for byte, and returns how many these are."""
    _, pq = _arrow()
    done: set[str] = set()
    for batch in pq.ParquetFile(path).iter_batches(_ROWS, columns=["img_id", "image"]):
        for row in batch.to_pylist():
            if row["image"] is not None and row["image"]["bytes"] is not None and row["img_id"] not in done:
                with write_beside(folder / row["img_id"]) as beside:
                    beside.write_bytes(row["image"]["bytes"])
                done.add(row["img_id"])
    return len(done)


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError('parquet needs more packages; run pip install "miras[prist]"') from error
    return pyarrow, pyarrow.parquet


def _schema() -> Any:
    """The columns, with what Hugging Face's `datasets` notes about them: an image is decoded when it is looked at."""
    pa, _ = _arrow()
    text = {"dtype": "string", "_type": "Value"}
    features = {
        "img_id": text,
        "image": {"_type": "Image"},
        "dialogue": {"_type": "List", "feature": {"from": text, "value": text}},
        "focus": text,
        "mask": {"size": {"_type": "List", "feature": {"dtype": "int32", "_type": "Value"}}, "counts": text},
        "extra": text,
    }
    string = pa.string()
    columns = {
        "img_id": string,
        "image": pa.struct({"bytes": pa.binary(), "path": string}),
        "dialogue": pa.list_(pa.struct({"from": string, "value": string})),
        "focus": string,
        "mask": pa.struct({"size": pa.list_(pa.int32()), "counts": string}),
        "extra": string,
    }
    noted = json.dumps({"info": {"features": features}})
    return pa.schema(columns, metadata={"huggingface": noted})


def _row(record: dict[str, Any], images: Path | None) -> dict[str, Any]:
    turns = [{"from": turn["from"], "value": turn["value"]} for turn in record["dialogue"]]
    more = [{key: value for key, value in turn.items() if key not in ("from", "value")} for turn in record["dialogue"]]
    extra = {key: value for key, value in record.items() if key not in _FIELDS}
    kept = {"record": extra, "turns": more} if any(more) else {"record": extra} if extra else None
    image = None
    if images is not None:
        try:
            image = {"bytes": (images / record["img_id"]).read_bytes(), "path": record["img_id"]}
        except OSError as error:
            raise ImageError(f"no image at {images / record['img_id']} ({error}); fetch it first") from error
    return {
        "img_id": record["img_id"], "image": image, "dialogue": turns, "focus": record["focus"],
        "mask": record.get("mask"), "extra": json.dumps(kept, ensure_ascii=False) if kept else None,
    }  # fmt: skip


def _record(row: dict[str, Any]) -> dict[str, Any]:
    kept = json.loads(row["extra"]) if row["extra"] else {}
    turns = row["dialogue"]
    if "turns" in kept:
        turns = [{**turn, **more} for turn, more in zip(turns, kept["turns"], strict=True)]
    record = {"img_id": row["img_id"], "dialogue": turns, "focus": row["focus"], **kept.get("record", {})}
    return record if row["mask"] is None else {**record, "mask": row["mask"]}
