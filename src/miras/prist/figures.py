"""Figures 3 and 5 of the paper for any data set: what focuses are made of, and a cloud of their words."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from miras.errors import ConfigError, DataError
from miras.files import write_beside
from miras.prist.focus import categories
from miras.prist.stats import Stats

__all__ = ["draw_cloud", "draw_focus"]

_COLORS = {"Textual Content": "#0072b2", "Physical Objects": "#e69f00", "Visual Elements": "#009e73",
           "People & Environment": "#cc79a7"}  # fmt: skip
"""Colours of the four types that colour-blind people can tell apart."""
_MOST = 15
"""Bars of nouns, adjectives and prepositions."""
_CLOUD = 200
"""Words of the cloud (figure 5)."""


def draw_focus(stats: Stats, path: Path) -> None:
    """Figure 3 as PNG: focuses by category, and the most frequent nouns, adjectives and prepositions."""
    figure = _needed("matplotlib.figure").Figure(figsize=(12, 9), layout="constrained")
    (top_left, top_right), (bottom_left, bottom_right) = figure.subplots(2, 2)
    bars = [(name, stats.categories[name], _COLORS[kind]) for kind, groups in categories().items() for name in groups]
    _bars(top_left, bars, f"Categories ({stats.categories[None]:,} of {stats.samples:,} in none)")
    patch = _needed("matplotlib.patches").Patch
    handles = [patch(color=color, label=kind) for kind, color in _COLORS.items()]
    top_left.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.3, -0.07), ncols=4, frameon=False, fontsize=8
    )
    for axes, counts, title, color in (
        (top_right, stats.nouns, "Nouns", "#0072b2"),
        (bottom_left, stats.adjectives, "Words before the noun", "#e69f00"),
        (bottom_right, stats.prepositions, "Prepositions", "#009e73"),
    ):
        _bars(axes, [(word, count, color) for word, count in counts.most_common(_MOST)], f"{title} ({len(counts):,})")
    with write_beside(path) as beside:
        figure.savefig(beside, format="png", dpi=110)


def draw_cloud(stats: Stats, path: Path) -> None:
    """Figure 5 as PNG: the 200 most frequent words of focuses, each as large as it is frequent."""
    counts = {word: count for word, count in (stats.nouns + stats.adjectives).most_common() if len(word) > 1}
    words = list(counts.items())[:_CLOUD]
    if not words:
        raise DataError("no focus holds a word, so there is no cloud to draw; give a file with dialogues")
    cloud = _needed("wordcloud").WordCloud(width=1200, height=600, background_color="white", random_state=0)
    with write_beside(path) as beside:
        cloud.generate_from_frequencies(dict(words)).to_image().save(beside, format="PNG")


def _bars(axes: Any, bars: Sequence[tuple[str, int, str]], title: str) -> None:
    names, counts, colors = zip(*bars, strict=True) if bars else ((), (), ())
    axes.barh(range(len(bars)), counts, color=colors)
    axes.set_yticks(range(len(bars)), names)
    axes.invert_yaxis()
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    for place, count in enumerate(counts):
        axes.annotate(f"{count:,}", (count, place), xytext=(3, 0), textcoords="offset points", va="center")


def _needed(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"figures need {error.name}, which is not installed; run pip install 'miras[prist]'"
        ) from error
