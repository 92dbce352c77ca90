"""A large JSON file gone through record by record: what each holds and at which bytes it lies, none of them kept."""

import json
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["Records"]

_SPACE = re.compile(r"[ \t\n\r]*")


class Records:
    """The text of a JSON object, read from front to back. Everything raises ValueError for what is not JSON."""

    def __init__(self, raw: bytes) -> None:
        # as latin-1 every byte is one letter, so that places in the text are places in the file
        self._text = str(raw, "latin-1")
        self._decode = json.JSONDecoder().raw_decode
        self._at = 0

    def members(self) -> Iterator[str]:
        """Each name of the object; the caller passes its value, by `value` or by `elements`, before the next."""
        self._pass_space()
        self._expect("{")
        while self._letter() != "}":
            name = self.value()
            self._expect(":")
            yield str(name)
            if self._letter() != "}":
                self._expect(",")

    def value(self) -> Any:
        """The value that comes next; its texts are those of the file only where these are plain ASCII."""
        value, self._at = self._decode(self._text, self._at)
        self._pass_space()
        return value

    def elements(self) -> Iterator[tuple[int, int, Any]]:
        """Of each element of the list that comes next: its first byte, its length in bytes, and itself as `value`."""
        self._expect("[")
        while self._letter() != "]":
            start = self._at
            value, self._at = self._decode(self._text, start)
            yield start, self._at - start, value
            self._pass_space()
            if self._letter() != "]":
                self._expect(",")
        self._expect("]")

    def _letter(self) -> str:
        return self._text[self._at : self._at + 1]

    def _pass_space(self) -> None:
        self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches nothing too

    def _expect(self, letter: str) -> None:
        if self._letter() != letter:
            found = self._text[self._at : self._at + 20]
            raise ValueError(f"{found!r} where {letter!r} belongs, at byte {self._at}")
        self._at += 1
        self._pass_space()
