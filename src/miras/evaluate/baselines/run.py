"""A run of a general model over a file of cases: each conversation kept once it is held, then all answers written out.

Its folder holds `run.sqlite` (replies and finished conversations), `run.log`, a copy of the cases, and at the end the
predictions.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from miras.errors import DataError
from miras.evaluate.baselines.ask import PROMPTS, Held, hold
from miras.evaluate.baselines.coordinates import Coordinates
from miras.evaluate.baselines.masks import MASKS, Refine, mark_all
from miras.evaluate.cases import Case, Cases, read_cases
from miras.evaluate.parts import copy_cases
from miras.evaluate.predictions import History, write_predictions
from miras.evaluate.runs import PREDICTIONS
from miras.llm.client import Endpoint
from miras.llm.limits import Limits
from miras.llm.pictures import LONGEST, Sent, sent
from miras.llm.server import open_client
from miras.llm.store import Store
from miras.llm.work import work_through
from miras.provenance import told_command, versions, weights_hash

__all__ = ["Baseline", "ask_all", "run_baseline", "write_out"]


@dataclass(frozen=True)
class Baseline:
    """What a run is made of."""

    endpoint: Endpoint
    cases: Path
    out: Path
    history: History = "own"
    images: Path | None = None
    """Folder of the images, in place of the one that the cases name."""
    longest: int = LONGEST
    """Longest side in pixels of the image that is sent."""
    coordinates: Coordinates = "auto"
    masks: Literal["boxes", "decoder"] = "boxes"
    """Boxes as they are, or nano's masks inside them."""
    limits: Limits = field(default_factory=Limits)

    def settings(self, cases: Cases) -> Mapping[str, Any]:
        """What must not change when a run is gone on with; how boxes are read may."""
        endpoint = self.endpoint
        return {
            "model": endpoint.model,
            "server": endpoint.base_url,
            "history": self.history,
            "cases_sha256": cases.sha256,
            "prompt": PROMPTS.fingerprint,
            "longest": self.longest,
            "temperature": endpoint.temperature,
            "reply_tokens": endpoint.max_tokens,
        }


def run_baseline(job: Baseline) -> dict[str, Any]:
    """Asks what has not been asked yet and writes the predictions; gives their first line.

    However it ends, every reply is kept, and the same call goes on from there. Raises DataError for cases or images
    that cannot be used, ConfigError where the folder holds another run or coordinates cannot be told, and LlmError
    when the server fails.
    """
    cases = read_cases(job.cases)
    _check_images(job, cases)
    job.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=job.out / "run.log", format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING
    )
    logging.getLogger("miras").setLevel(logging.INFO)
    with Store(job.out / "run.sqlite") as store:
        store.claim(job.settings(cases))
        copy_cases(job.cases, job.out)
        with _shown("conversations", len(cases), len(store.finished())) as tell:
            asyncio.run(ask_all(job, cases, store, tell))
        return write_out(job, cases, store)


async def ask_all(job: Baseline, cases: Cases, store: Store, tell: Callable[[], None] = lambda: None) -> None:
    """Holds every conversation that the store does not hold, so many requests at once as the limits say."""
    finished = store.finished()
    waiting = [case for case in cases if case.id not in finished]
    if not waiting:
        return

    async with open_client(job.endpoint, store, job.limits) as client:

        async def work(case: Case) -> None:
            image = await asyncio.to_thread(_image, job, cases, case)
            store.finish(case.id, (await hold(case, image, client, job.history)).to_json())
            tell()

        await work_through(waiting, work, at_once=job.limits.at_once)


def write_out(job: Baseline, cases: Cases, store: Store) -> dict[str, Any]:
    """Writes all answers as predictions and gives their first line. Raises ConfigError when coordinates are unclear."""
    held = {kept["id"]: Held.from_json(kept) for kept in store.items()}
    talks = [(case, held[case.id]) for case in cases]
    if job.masks == "boxes":
        marked, masks = mark_all(talks, job.coordinates), {"masks": MASKS}
    else:
        with _shown("boxes through nano") as tell:
            refine, masks = _through_nano(job, cases, store, tell)
            marked = mark_all(talks, job.coordinates, refine)
    _, prompt_tokens, reply_tokens = store.spent()
    first = {
        **job.settings(cases),
        **masks,
        "coordinates": marked.reading.to_json(),
        "text_turns": "without_last",
        "replies": marked.counts,
        "tokens": {"prompts": prompt_tokens, "replies": reply_tokens},
        "cost": job.limits.cost(prompt_tokens, reply_tokens) or None,
        "command": told_command(),
        "versions": versions(),
    }
    write_predictions(job.out / PREDICTIONS, first, (one.to_json() for one in marked.answered))
    return first


def _through_nano(job: Baseline, cases: Cases, store: Store, tell: Callable[[], None]) -> tuple[Refine, dict[str, str]]:
    """What makes finer masks of boxes, and what the predictions say about it."""
    from miras.evaluate.baselines import decoder
    from miras.model.miras import Miras

    nano = Miras.from_pretrained("nano", merge_lora=True).eval()
    name = weights_hash(nano) or ""
    made = decoder.Decoder(nano, name, store)

    def refine(case: Case, label: str, inside: np.ndarray) -> np.ndarray | None:
        path = cases.image_path(case, job.images)
        tell()
        return None if path is None else made.mask(path, label, inside)

    return refine, {"masks": decoder.MASKS, "masks_weights_sha256": name}


def _check_images(job: Baseline, cases: Cases) -> None:
    """Raises DataError before anything is asked where images are missing."""
    paths = [cases.image_path(case, job.images) for case in cases if case.image is not None]
    if paths and paths[0] is None:
        raise DataError(f"{job.cases} names no folder of images; give one with --images")
    if missing := [path for path in paths if path is None or not path.is_file()]:
        raise DataError(
            f"{len(missing)} of {len(paths)} images are missing, the first is {missing[0]}; give their folder with "
            "--images"
        )


def _image(job: Baseline, cases: Cases, case: Case) -> Sent | None:
    """The image of a case as it is sent. Raises ImageError when it cannot be read, DataError at another size."""
    path = cases.image_path(case, job.images)
    if path is None:
        return None
    image = sent(path, job.longest)
    if case.size not in (None, image.original):
        raise DataError(
            f"the masks of case {case.id!r} are for {case.size} pixels (height, width), its image {path} has "
            f"{image.original}; give the images that were annotated with --images"
        )
    return image


@contextmanager
def _shown(what: str, total: int | None = None, finished: int = 0) -> Iterator[Callable[[], None]]:
    """A bar on the terminal; what it gives is called once for each thing that is finished."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, completed=finished)
        yield lambda: bar.advance(task)
