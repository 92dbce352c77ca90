"""Answers that come back from people: checked line by line, and made into runs that are judged as a model's are.

A file of answers is JSON lines, as the page saves it::

    {"format": "miras-human-answers", "version": 1, "expert": "expert 1", "cases_sha256": "…"}
    {"id": "17", "answers": ["The mug on the left.", "It holds tea.", "The brown mug."]}
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from miras.errors import ConfigError, DataError
from miras.evaluate.cases import Case, Cases, read_cases
from miras.evaluate.judge.human.page import FORMAT, VERSION
from miras.evaluate.lines import Line, read_lines, shown
from miras.evaluate.predictions import write_predictions
from miras.evaluate.runs import CASES, PREDICTIONS
from miras.files import made_beside, safe_name
from miras.types import Prediction, Said

__all__ = ["Given", "import_answers", "read_answers"]


@dataclass(frozen=True)
class Given:
    """What one expert gave back."""

    path: Path
    expert: str
    answers: Mapping[str, tuple[str, ...]]
    """Id of a conversation → an answer to each of its questions; only whole ones."""
    remarks: tuple[str, ...]
    """All that is wrong, each with its file and line."""


def read_answers(path: Path, cases: Cases) -> Given:
    """Reads a file of answers to the drawn cases.

    What single lines lack becomes a remark. Raises DataError when it is no such file or answers other cases.
    """
    lines = read_lines(path, FORMAT, VERSION)
    first = next(lines)
    expert = first.text("expert")
    if first.content.get("cases_sha256") != cases.sha256:
        raise first.error("these are answers to other conversations; give the folder that they were exported to")
    wanted = {case.id: case for case in cases}
    found: dict[str, tuple[str, ...]] = {}
    seen: set[str] = set()
    remarks: list[str] = []
    for line in lines:
        try:
            name = line.text("id")
            if name in seen:
                raise line.error(f"the id {name!r} comes a second time; keep one of the two lines")
            if name not in wanted:
                raise line.error(f"the id {name!r} was not asked; take the line out")
            seen.add(name)
            found[name] = _texts(line, wanted[name])
        except DataError as error:
            remarks.append(str(error))
    if missing := [name for name in wanted if name not in seen]:
        first_few = ", ".join(map(repr, missing[:5])) + (", …" if len(missing) > 5 else "")
        remarks.append(f"{path}: {len(missing)} of {len(wanted)} conversations are not answered: {first_few}")
    return Given(path, expert, found, tuple(remarks))


def import_answers(paths: Sequence[Path], folder: Path, out: Path) -> list[Path]:
    """Makes a run of each file of answers, a folder below `out` with cases and predictions; returns the folders.

    Raises DataError when a file has remarks, ConfigError when two are of one expert; then nothing is written.
    """
    cases = read_cases(folder / CASES)
    given = [read_answers(path, cases) for path in paths]
    for one in given:
        if one.remarks:
            more = f" ({len(one.remarks)} remarks; `miras evaluate human check` lists them)"
            raise DataError(f"{one.remarks[0]}{more if len(one.remarks) > 1 else ''}")
    runs = {out / safe_name(one.expert): one for one in given}
    if len(runs) < len(given):
        raise ConfigError(f"two files are of one expert ({[one.expert for one in given]}); give one of each")
    for run, one in runs.items():
        with made_beside(run, replacing=[CASES, PREDICTIONS]) as beside:
            shutil.copyfile(folder / CASES, beside / CASES)
            about = {"model": one.expert, "history": "own", "cases_sha256": cases.sha256}
            said = (Prediction(case.id, tuple(map(Said, one.answers[case.id]))) for case in cases)
            write_predictions(beside / PREDICTIONS, about, (prediction.to_json() for prediction in said))
    return list(runs)


def _texts(line: Line, case: Case) -> tuple[str, ...]:
    texts, asked = line.content.get("answers"), len(case.dialogue.questions)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise line.error(f"answers should be a list of texts, got {shown(texts)}")
    if len(texts) != asked:
        raise line.error(f"{case.id!r} has {asked} questions, {len(texts)} are answered; answer each")
    if empty := [number for number, text in enumerate(texts, 1) if not text.strip()]:
        raise line.error(f"the answer to question {empty[0]} of {case.id!r} is empty; fill it in")
    return tuple(texts)
