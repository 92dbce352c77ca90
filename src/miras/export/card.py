"""The card of a model as the Hugging Face hub reads it, filled from the model and from the run that trained it."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import yaml

from miras.config import PARTS
from miras.export.run import Trained
from miras.model.miras import Miras
from miras.provenance import versions, weights_hash

__all__ = ["model_card"]

_UNKNOWN = "not known"
_ROOMS = {
    "low-resolution encoder": "vision.low.",
    "high-resolution encoder": "vision.high.",
    "fusion (eq. 4)": "vision.fusion.",
    "projector": "vision.projector.",
    "language model": "language.",
    "mask projector": "mask_projector.",
    "semantic region alignment (eq. 6)": "alignment.",
    "pixel encoder and mask decoder": "pixel.",
}
"""Parts of the paper's figure 4 and where their weights lie."""
_USE = """```python
from miras import Miras

session = Miras.from_pretrained("{place}").session("photo.jpg")
reply = session.ask("Which of these could keep the rain off? Mark it.")
print(reply.text, [target.phrase for target in reply.targets])
```"""


def model_card(model: Miras, *, name: str, form: str, run: Trained | None, licence: str | None) -> str:
    """The card in Markdown; what nobody said is told as not known."""
    front: dict[str, Any] = {
        "library_name": "miras",
        "pipeline_tag": "image-segmentation",
        "tags": ["reasoning-segmentation", "multi-turn", "miras"],
        "license": licence.lower() if licence else "other",
    }
    if bases := [source for source in model.config.sources.values() if "/" in source]:
        front["base_model"] = bases
    sections = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# {name}",
        "Talks about an image over several turns and marks the pixels that are meant. "
        f"Written by `miras export --form {form}`.",
        f"## Use\n\n{_USE.format(place=name)}",
        f"## Parts\n\n{_parts(model, run)}",
        f"## Training\n\n{_training(run)}",
        f"## Figures\n\n{_figures(run)}",
        f"## Terms\n\n{_terms(licence)}",
        f"## Made with\n\n{_made(model)}",
    ]
    return "\n\n".join(sections) + "\n"


def _parts(model: Miras, run: Trained | None) -> str:
    trained = {} if run is None else dict(run.settings.get("parts") or {})
    patterns = [re.compile(PARTS[part]) for part in trained if part in PARTS]
    total, moved = Counter[str](), Counter[str]()
    for name, weight in model.named_parameters():
        room = next(room for room, prefix in _ROOMS.items() if name.startswith(prefix))
        total[room] += weight.numel()
        moved[room] += weight.numel() * any(pattern.match(name) for pattern in patterns)
    rows = ["| part | parameters | trained in the last stage |", "|---|---|---|"]
    rows += [
        f"| {room} | {total[room]:,} | {f'{moved[room]:,}' if run else _UNKNOWN} |" for room in _ROOMS if total[room]
    ]
    return "\n".join(rows)


def _training(run: Trained | None) -> str:
    if run is None:
        return f"How it was trained is {_UNKNOWN}: the model was not exported from a run's folder."
    settings = run.settings
    start = settings.get("init") or f"the preset {settings.get('preset')}"
    rows: dict[str, Any] = {
        "started from": start,
        "steps": f"{run.steps:,} of {settings.get('steps', 0):,}",
        "images per step": settings.get("images", 0) * settings.get("accumulate", 1),
        "data": settings.get("data"),
        "sources": _pairs(settings.get("sources")),
        "learning rates": _pairs(settings.get("parts")),
        "hours in steps": _UNKNOWN if run.seconds is None else f"{run.seconds / 3600:.2f}",
        "last losses": _pairs({key: f"{value:.4g}" for key, value in run.losses.items()}) or _UNKNOWN,
    }
    return _table("setting", rows)


def _figures(run: Trained | None) -> str:
    figures = None if run is None else run.validation
    if not figures:
        return f"Its figures are {_UNKNOWN}; `miras evaluate` measures them."
    shown = {name: figures.get(name) for name in ("giou", "ciou")}
    rows = {name: _UNKNOWN if value is None else f"{value:.4f}" for name, value in shown.items()}
    note = "The last validation of the run: direct requests, teacher-forced. `miras evaluate` gives the real figures."
    return f"{note}\n\n{_table('figure', rows)}"


def _terms(licence: str | None) -> str:
    own = f"The weights are given under {licence}." if licence else f"The licence of the weights is {_UNKNOWN}."
    return f"{own} The terms of the pretrained parts and of the data that it was trained on hold as well."


def _made(model: Miras) -> str:
    sources = {f"source of {part}": source for part, source in model.config.sources.items()}
    known = {name: version or _UNKNOWN for name, version in versions().items()}
    return _table("what", {"weights, SHA-256": weights_hash(model), **sources, **known})


def _pairs(values: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (values or {}).items())


def _table(head: str, rows: Mapping[str, Any]) -> str:
    return "\n".join([f"| {head} | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])
