"""The folder of a report: one page, Markdown with its pictures beside it, and JSON with every number that they show."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from miras.errors import DataError
from miras.evaluate.report.against import against
from miras.evaluate.report.breakdown import calibration, every_figure, strata, tiles
from miras.evaluate.report.cards import legend
from miras.evaluate.report.content import Cards, Grid, Picture, Section
from miras.evaluate.report.failures import failure_table, failures
from miras.evaluate.report.gallery import examples, gallery
from miras.evaluate.report.judged import People, read_people, reasoning
from miras.evaluate.report.markdown import PICTURES, as_markdown
from miras.evaluate.report.page import as_page
from miras.evaluate.report.provenance import provenance
from miras.evaluate.report.run import Ablation, Run, read_folder
from miras.evaluate.report.tables import masks_and_words, referring
from miras.evaluate.report.trials import ablation_table
from miras.files import made_beside, write_json, write_text

__all__ = ["write_report"]

_FORMAT = {"format": "miras-report", "version": 1}
_FILES = ("report.html", "report.md", "report.json")


def write_report(
    folders: Sequence[Path],
    out: Path,
    *,
    fine_tuned: Sequence[Path] = (),
    other: Path | None = None,
    people: Path | None = None,
    count: int = 8,
    seed: int = 0,
    images: Path | None = None,
    pictured: Mapping[str, frozenset[str]] | None = None,
    title: str | None = None,
    command: str = "",
    versions: Mapping[str, Any] | None = None,
    tell: Callable[[str], None] = lambda part: None,
) -> Path:
    """Writes `report.html`, `report.md`, `report.json` and `pictures/` into `out` and returns the path of the page.

    `fine_tuned` are folders of runs too, of models that were trained on such data; the first run is set side by side
    with `other`; `people` is a file of `human table`; `pictured` restricts the cases that are shown to strata of the
    labels that it names. Raises DataError for a folder that is no run, and for two runs
    side by side over different cases.
    """
    runs, trials = _read(folders, fine_tuned)
    runs = [replace(run, pictured=pictured or {}) for run in runs]
    second = None if other is None else _second(other, runs)
    every = [*runs, *([second] if second is not None and second not in runs else [])]
    parts = list(_tables(every, trials, read_people(people) if people is not None else None))
    for place, run in enumerate(runs, 1):
        tell(f"{run.model} on {run.data}")
        parts.append(_detail(run, f"run{place}", count=count, seed=seed, images=images))
    if second is not None:
        tell("side by side")
        parts.append(_with_legend(against(runs[0], second, count=count, images=images, seed=seed)))
    parts.append(provenance(every, trials, command, versions or {}))
    names = list(dict.fromkeys(run.model for run in every)) or ["a model with parts left out"]
    title = title or f"Evaluation of {', '.join(names)}"
    summary = "; ".join(dict.fromkeys(run.data for run in every)) or "Trials with parts left out"
    tell("writing")
    return _written(out, title, summary, seed, parts)


def _written(out: Path, title: str, summary: str, seed: int, parts: Sequence[Section]) -> Path:
    with made_beside(out, replacing=[*_FILES, PICTURES]) as folder:
        write_text(folder / "report.html", as_page(title, summary, parts))
        write_text(folder / "report.md", as_markdown(title, summary, parts))
        about = {**_FORMAT, "title": title, "summary": summary, "seed": seed}
        write_json(folder / "report.json", {**about, "sections": {part.name: part.to_json() for part in parts}})
        (folder / PICTURES).mkdir()
        for picture in _pictures(parts):
            (folder / PICTURES / picture.file).write_bytes(picture.jpeg)
    return out / "report.html"


def _read(folders: Sequence[Path], fine_tuned: Sequence[Path]) -> tuple[list[Run], list[Ablation]]:
    trained = {folder.resolve() for folder in fine_tuned}
    runs, trials = list[Run](), list[Ablation]()
    for folder in {folder.resolve(): folder for folder in (*folders, *fine_tuned)}.values():
        found = read_folder(folder, "fine-tuned" if folder.resolve() in trained else None)
        if isinstance(found, Run):
            runs.append(found)
        else:
            trials.append(found)
    if not runs and not trials:
        raise DataError("a report needs at least one folder of a run; give one that `miras evaluate score` wrote")
    return runs, trials


def _second(other: Path, runs: Sequence[Run]) -> Run:
    known = (run for run in runs if run.folder.resolve() == other.resolve())
    found = next(known, None) or read_folder(other)
    if not runs or isinstance(found, Ablation):
        raise DataError("two folders of runs are needed to be set side by side; give figures, not trials")
    return found


def _tables(runs: Sequence[Run], trials: Sequence[Ablation], people: People | None) -> Iterator[Section]:
    """The paper's tables of which we hold something of our own."""
    found = [masks_and_words(runs), *reasoning(runs, people), referring(runs)]
    found += [ablation_table(one, "table6" if place == 1 else f"table6-{place}") for place, one in enumerate(trials, 1)]
    if grids := tuple(grid for grid in found if grid is not None):
        note = (
            "Lines of the paper are tinted and say so. Only lines under one heading of data can be compared: "
            "lines about other data are no comparison of equals."
        )
        yield Section("tables", "Beside the paper", grids, (note,))


def _detail(run: Run, prefix: str, *, count: int, seed: int, images: Path | None) -> Section:
    found = failures(run)
    blocks: list[Grid | Cards] = [*strata(run, prefix), every_figure(run, prefix)]
    blocks += gallery(run, prefix, count=count, seed=seed, images=images)
    if found:
        blocks.append(failure_table(run, found, prefix))
        blocks += examples(run, found, prefix, seed=seed, images=images)
    if (grid := calibration(run.outcomes, str(run.folder), prefix)) is not None:
        blocks.append(grid)
    notes: tuple[str, ...] = ()
    if run.cases is None or run.predictions is None:
        notes = ("Neither cases nor answers lie in the folder of this run: no pictures, failures or confidence.",)
    told = ", ".join(filter(None, (run.setting, run.note)))
    title = f"{run.model} on {run.data}" + (f" ({told})" if told else "")
    return _with_legend(Section(prefix, title, tuple(blocks), notes, tiles(run)))


def _with_legend(section: Section) -> Section:
    drawn = any(isinstance(one, Picture) for block in section.blocks if isinstance(block, Cards)
                for card in block.cards for one in card.pictures)  # fmt: skip
    return Section(section.name, section.title, section.blocks, section.notes, section.tiles, legend() if drawn else ())


def _pictures(sections: Sequence[Section]) -> Iterator[Picture]:
    for section in sections:
        yield from (picture for picture, _ in section.legend)
        for block in section.blocks:
            if isinstance(block, Cards):
                yield from (one for card in block.cards for one in card.pictures if isinstance(one, Picture))
