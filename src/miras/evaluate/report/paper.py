"""The paper's figures, as printed there (its tables 3, 4, 5, 6 and 10), and what is known of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from miras.evaluate.report.content import Row

__all__ = ["PaperTable", "paper_table"]


@dataclass(frozen=True)
class PaperTable:
    """One table of the paper."""

    rows: Mapping[str, tuple[tuple[str, ...], ...]]
    """Setting (`all` where there is none) → rows, each its name and its cells."""
    known: tuple[str, ...]
    """What a reader must know before comparing anything with it."""
    columns: tuple[Any, ...] = ()
    data: Mapping[str, Any] | None = None
    """Benchmark, split and number of cases behind it."""

    def shown(self, setting: str = "all", *, before: int = 0, after: int = 0) -> list[Row]:
        """Its rows in that setting, marked as the paper's, between so many blank cells."""
        return [
            Row(name, (*((),) * before, *cells, *((),) * after), "paper", note="paper")
            for name, *cells in self.rows.get(setting, ())
        ]


@cache
def paper_table(name: str) -> PaperTable:
    """The table under that name, such as `table3`."""
    content = _paper()[name]
    rows = {setting: tuple(map(tuple, rows)) for setting, rows in content["rows"].items()}
    columns = tuple(tuple(one) if isinstance(one, list) else one for one in content.get("columns", ()))
    return PaperTable(rows, tuple(content["known"]), columns, content.get("data"))


@cache
def _paper() -> Any:
    return yaml.safe_load(files("miras.evaluate.report").joinpath("paper.yaml").read_text(encoding="utf-8"))
