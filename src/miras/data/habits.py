"""What things usually are in a set of photos, so that questions can be drawn for which that is no help."""

from collections import Counter
from collections.abc import Iterable, Mapping

from miras.data.photos import Photo, PhotoObject

__all__ = ["Habits"]

_LARGEST = 8.0
"""The rarest answers are drawn at most so many times as often as they come."""
_LEAST = 0.02
"""Share of photos that are taken to lack a class which all of them hold."""


class Habits:
    """How often each class is there in the photos of a source, and which colour and place its things have."""

    def __init__(self, photos: Iterable[Photo]) -> None:
        self._photos: Counter[str] = Counter()
        self._present: Counter[tuple[str, str]] = Counter()
        self._answers: Mapping[str, Counter[tuple[str, str | None]]] = {"colors": Counter(), "places": Counter()}
        self._things: Counter[str] = Counter()
        for photo in photos:
            self._photos[photo.source] += 1
            self._present.update((photo.source, name) for name in {thing.class_name for thing in photo.objects})
            for thing in photo.objects:
                self._things[thing.class_name] += 1
                self._answers["colors"][thing.class_name, thing.color] += 1
                self._answers["places"][thing.class_name, thing.position] += 1

    def lacking(self, source: str, name: str) -> float:
        """Share of the photos of that source without the class.

        Asked so often where it is there, and as often as it is there where it is not, a name says nothing by itself.
        """
        return max(_LEAST, 1 - self._present[source, name] / max(1, self._photos[source]))

    def surprise(self, kind: str, thing: PhotoObject) -> float:
        """How much rarer its answer is than all answers for its class together: 1 where it always is so, at most 8."""
        answer = thing.color if kind == "colors" else thing.position
        return min(_LARGEST, (self._things[thing.class_name] + 1) / (self._answers[kind][thing.class_name, answer] + 1))
