"""From a run or a model to a folder in one of the forms of `miras export`."""

from pathlib import Path

import torch

from miras.errors import CheckpointError, ConfigError
from miras.export.card import model_card
from miras.export.command import Form
from miras.export.run import find_model, read_run
from miras.files import write_text
from miras.model.checkpoint import load, save

__all__ = ["CARD", "write_export"]

CARD = "README.md"


def write_export(source: str, out: Path, form: Form, licence: str | None) -> int:
    """Write the folder, in bf16, and its card; gives the bytes of its files.

    Raises CheckpointError for what cannot be read, ConfigError for a form that the model does not have and for a
    folder that is the source itself.
    """
    name, run = find_model(source)
    if Path(name).resolve() == out.resolve():
        raise ConfigError(f"out is the model's own folder {out}; name another one")
    model = load(name, dtype=torch.bfloat16, merge_lora=form is Form.MERGED)
    if form is Form.ADAPTER and not model.config.lora:
        raise ConfigError(f"{name} has no LoRA that could be an adapter; choose --form whole")
    if form in (Form.TRAINED, Form.ADAPTER) and not model.config.sources:
        raise CheckpointError(f"{name} names no sources that the frozen weights could come from; choose --form whole")
    card = model_card(
        model, name=out.resolve().name, form=form, run=None if run is None else read_run(run), licence=licence
    )
    save(model, out, frozen=form in (Form.MERGED, Form.WHOLE), peft=form is Form.ADAPTER)
    write_text(out / CARD, card)
    return sum(path.stat().st_size for path in out.iterdir() if path.is_file())
