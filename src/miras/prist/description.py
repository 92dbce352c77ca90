"""The description of a data set as people read it: tables 2 and 8 in Markdown, the figures, all counts as JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from miras.files import write_json, write_text
from miras.prist.figures import draw_cloud, draw_focus
from miras.prist.focus import categories
from miras.prist.stats import Length, Stats, table2, table8

__all__ = ["as_json", "as_markdown", "write_description"]


def as_markdown(stats: Stats, name: str, token: str) -> str:
    """Tables 2 and 8 beside the paper's, and the focus categories."""
    header, *rows = table8(stats, name)
    kinds = [(kind, group, f"{stats.categories[group]:,}") for kind, groups in categories().items() for group in groups]
    return "\n\n".join([
        f"# {name}",
        "## Counts (table 2)",
        _table(("statistic", name, "the paper's"), table2(stats, token)),
        "## Row of table 8",
        _table(header, rows),
        f"## Focus categories\n\n{stats.categories[None]:,} of {stats.samples:,} focuses are in none.",
        _table(("type", "category", "samples"), kinds),
    ]) + "\n"  # fmt: skip


def as_json(stats: Stats, token: str) -> dict[str, Any]:
    """Every count, without the long lists of images and focuses."""
    lengths = {name: value for name, value in vars(stats).items() if isinstance(value, Length)}
    return {
        "images": len(stats.images),
        "samples": stats.samples,
        "utterances": stats.utterances,
        "masks": stats.masks,
        "smallest_mask": stats.smallest,
        "granularity": dict(stats.sizes),
        "token": token,
        "lengths": {name: {"mean": value.mean, "most": value.most} for name, value in lengths.items()},
        "different_focuses": len(stats.focuses),
        "categories": {name or "none": count for name, count in stats.categories.most_common()},
        "nouns": dict(stats.nouns.most_common(200)),
        "adjectives": dict(stats.adjectives.most_common(200)),
        "prepositions": dict(stats.prepositions.most_common()),
    }


def write_description(stats: Stats, out: Path, name: str, token: str) -> None:
    """Writes `focus.png` and `cloud.png` (figures 3 and 5), `stats.json` and `stats.md` into a folder."""
    draw_focus(stats, out / "focus.png")
    draw_cloud(stats, out / "cloud.png")
    write_json(out / "stats.json", as_json(stats, token))
    pictures = "## Figures\n\n![What focuses are made of](focus.png)\n\n![The words of focuses](cloud.png)\n"
    write_text(out / "stats.md", f"{as_markdown(stats, name, token)}\n{pictures}")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
