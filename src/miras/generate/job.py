"""One run of `miras generate` as data: what is made of which images by whom, and how the teacher is come by."""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from miras.data.photos import Photo, load_photos
from miras.generate.images import Picture, captioned, choose, listed
from miras.generate.prompts import PROMPTS
from miras.generate.teachers import AnnotationTeacher, Teacher
from miras.llm.client import Client, Endpoint
from miras.llm.limits import Limits
from miras.llm.server import open_client
from miras.llm.store import Store

__all__ = ["ANNOTATION", "Choice", "Job"]

ANNOTATION = "annotation"
"""Name of the teacher that needs no model."""


@dataclass(frozen=True)
class Choice:
    """Section 3.1's choice of images: so many of each category."""

    categories: int = 10
    per_category: int = 280


@dataclass(frozen=True)
class Job:
    """What a run is made of. Two runs with the same `settings` give the same dialogues."""

    teacher: str
    """`annotation`, or the name of a model."""
    images: Path
    out: Path
    seed: int = 0
    limit: int | None = None
    """At most so many images, drawn by the seed."""
    split: str = "train"
    """Which annotations of the folder the annotation teacher reads."""
    captions: Path | None = None
    """TextCaps' annotation file."""
    choice: Choice | None = None
    endpoint: Endpoint | None = None
    """Where a model is asked; None for the annotation teacher."""
    limits: Limits = field(default_factory=Limits)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What must not change when a run is gone on with."""
        server = self.endpoint.base_url if self.endpoint else None
        prompts = PROMPTS.fingerprint if self.endpoint else None
        return {"teacher": self.teacher, "server": server, "seed": self.seed, "prompts": prompts}

    def pictures(self) -> list[Picture]:
        """The images of the run, by name. Raises DataError when there are none or too few."""
        if self.teacher == ANNOTATION:
            photos = _photos(self.images, self.split)
            found = [Picture(name, photo.path, (photo.source,)) for name, photo in sorted(photos.items())]
        elif self.captions is not None:
            found = captioned(self.captions, self.images)
        else:
            found = listed(self.images)
        if self.choice is not None:
            wanted = self.choice
            found = choose(found, categories=wanted.categories, per_category=wanted.per_category, seed=self.seed)
        if self.limit is not None and self.limit < len(found):
            kept = random.Random(self.seed).sample(range(len(found)), self.limit)
            found = [found[index] for index in sorted(kept)]
        return found

    @asynccontextmanager
    async def open_teacher(self, store: Store) -> AsyncIterator[tuple[Teacher, Client | None]]:
        """The teacher, and the client it asks with, if any. Raises ConfigError when a server needs a key."""
        if self.endpoint is None:
            yield AnnotationTeacher(_photos(self.images, self.split), self.seed), None
            return
        from miras.generate.steps import ModelTeacher

        async with open_client(self.endpoint, store, self.limits) as client:
            yield ModelTeacher(client, self.seed), client


@lru_cache(maxsize=1)
def _photos(folder: Path, split: str) -> Mapping[str, Photo]:
    """The annotated photos by name; read once for a run, and once in each process of a cluster."""
    return {photo.name: photo for photo in load_photos(folder, split)}
