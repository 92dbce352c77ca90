"""Files of JSON lines that say in their first line what they are; every complaint names its line."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from miras.data.masks import area
from miras.errors import DataError, MaskError
from miras.types import Rle

__all__ = ["Line", "as_line", "read_lines", "shown"]


@dataclass(frozen=True)
class Line:
    """One object of a file, or an object inside it, with where it stands; its readers check what they hand out."""

    where: str
    content: Mapping[str, Any]

    def error(self, text: str) -> DataError:
        """The complaint, beginning with file and line."""
        return DataError(f"{self.where}: {text}")

    def text(self, name: str, *, empty: bool = False, optional: bool = False) -> Any:
        """The text under that name; with `optional`, None where it is null or absent."""
        value = self.content.get(name)
        if value is None and optional:
            return None
        if not isinstance(value, str) or (not value.strip() and not empty):
            raise self.error(f"{name} should be a text{'' if empty else ' that is not empty'}, got {shown(value)}")
        return value

    def number(self, name: str, *, low: float, high: float) -> float | None:
        """The number under that name, None where it is null or absent."""
        value = self.content.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise self.error(f"{name} should be a number or null, got {shown(value)}; write null where it is not known")
        if not low <= value <= high:
            raise self.error(f"{name} should lie in {low:g}..{high:g}, got {value:g}")
        return float(value)

    def objects(self, name: str) -> list["Line"]:
        """The list of objects under that name."""
        value = self.content.get(name)
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.error(f"{name} should be a list of objects, got {shown(value)}")
        return [Line(f"{self.where}, {name}[{place}]", one) for place, one in enumerate(value)]

    def mask(self, name: str, *, size: tuple[int, int] | None = None, optional: bool = False) -> Rle | None:
        """The run lengths under that name, whole and of that (height, width)."""
        value = self.content.get(name)
        if value is None and optional:
            return None
        try:
            area(value)  # type: ignore[arg-type]  # reads every run, and complains where they do not fill the mask
        except MaskError as error:
            raise self.error(f"{name}: {error}") from error
        rle = Rle(size=[int(side) for side in value["size"]], counts=value["counts"])  # type: ignore[index]
        if size is not None and tuple(rle["size"]) != size:
            raise self.error(
                f"{name} should have the size of its image, {list(size)}, got {rle['size']}; bring masks to the pixels "
                "of the original image, height first"
            )
        return rle


def read_lines(path: Path, form: str, version: int) -> Iterator[Line]:
    """The objects of a file, first the one that says what it is, without `format` and `version`.

    Raises DataError where the file is missing, is of another format, or holds a line that is no JSON object.
    """
    number = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for number, text in enumerate(lines, 1):
                line = _object(f"{path}, line {number}", text)
                yield line if number > 1 else _first(line, form, version)
    except FileNotFoundError as error:
        raise DataError(f"no file at {path}; check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text ({error}) after line {number}; write it again") from error
    if not number:
        raise DataError(f"{path} is empty; its first line should say that it is {form}")


def as_line(content: Mapping[str, Any]) -> str:
    """An object as one line. Raises ValueError for NaN and infinities, which JSON does not know."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"


def shown(value: Any) -> str:
    """A value as a complaint shows it, at most 80 letters."""
    return f"{value!r:.80}"


def _object(where: str, text: str) -> Line:
    try:
        content = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not a JSON object on one line ({error}); write it again") from error
    if not isinstance(content, dict):
        raise DataError(f"{where}: should be a JSON object, got {shown(content)}; write one object per line")
    return Line(where, content)


def _first(line: Line, form: str, version: int) -> Line:
    said = {"format": line.content.get("format"), "version": line.content.get("version")}
    if said != {"format": form, "version": version}:
        raise line.error(f'the file should begin with {{"format": "{form}", "version": {version}, …}}, got {said}')
    return Line(line.where, {name: value for name, value in line.content.items() if name not in said})


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number; write null where a value is not known")
