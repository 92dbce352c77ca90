"""Which item comes next: a seeded mixture of sources as a pure function of the draw's number.

Nothing is kept between draws, so stopping and resuming is starting at another number, and processes that take
their shard of each batch see together what one process would see alone.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from miras.errors import ConfigError

__all__ = ["Draw", "Mixture", "Source", "shard"]


class Source(Protocol):
    """Anything with a number of items."""

    def __len__(self) -> int: ...


class Draw(NamedTuple):
    """One draw of a mixture."""

    source: int
    """Which source, in the order given."""
    item: int
    """Which item of that source."""
    seed: int
    """For whatever else is random about this item, such as its augmentation; another one in every pass."""


class Mixture:
    """An endless sequence of draws from several sources, the same for the same seed.

    Any `sum(ratios)` draws in a row hold exactly `ratios[s]` draws of source s: one shuffled pattern is repeated.
    Each source is walked through a permutation of its items, a new one for each pass, so nothing repeats within
    a pass. Raises ConfigError for a negative seed, an empty source that has a ratio, or ratios that are not whole
    numbers, one per source.
    """

    def __init__(self, sources: Sequence[Source], ratios: Sequence[int], seed: int) -> None:
        _check(sources, ratios, seed)
        self.seed = seed
        self._sizes = [len(source) for source in sources]
        self._ratios = list(ratios)
        pattern = np.repeat(np.arange(len(ratios)), ratios)
        self._pattern: list[int] = np.random.default_rng([seed, len(ratios)]).permutation(pattern).tolist()
        self._rank = [self._pattern[:place].count(source) for place, source in enumerate(self._pattern)]
        self._order: dict[int, tuple[int, np.ndarray]] = {}

    def __getitem__(self, index: int) -> Draw:
        """Draw number `index`, counted from 0. Raises IndexError below 0."""
        if index < 0:
            raise IndexError(f"draws of a mixture are counted from 0 and have no end, got {index}")
        turn, place = divmod(index, len(self._pattern))
        source = self._pattern[place]
        walked, position = divmod(turn * self._ratios[source] + self._rank[place], self._sizes[source])
        item = int(self._permutation(source, walked)[position])
        seed = np.random.SeedSequence([self.seed, source, walked, item]).generate_state(1, np.uint64)
        return Draw(source, item, int(seed[0] >> np.uint64(1)))

    def _permutation(self, source: int, walked: int) -> np.ndarray:
        """(items,) the order of a source in one of its passes; the last one asked for is remembered."""
        known = self._order.get(source)
        if known is None or known[0] != walked:
            rng = np.random.default_rng([self.seed, source, walked, self._sizes[source]])
            known = self._order[source] = (walked, rng.permutation(self._sizes[source]))
        return known[1]


def _check(sources: Sequence[Source], ratios: Sequence[int], seed: int) -> None:
    if len(sources) != len(ratios):
        raise ConfigError(f"one ratio per source is needed: {len(sources)} sources, {len(ratios)} ratios; match them")
    if any(not isinstance(ratio, int) or ratio < 0 for ratio in ratios) or not sum(ratios):
        raise ConfigError(f"ratios are whole numbers from 0, not all 0, got {list(ratios)}; write 3:1, not 0.75:0.25")
    if seed < 0:
        raise ConfigError(f"the seed of a mixture is 0 or more, got {seed}; choose another")
    for index, (source, ratio) in enumerate(zip(sources, ratios, strict=True)):
        if ratio and not len(source):
            raise ConfigError(f"source {index} is empty but has ratio {ratio}; give it items or ratio 0")


def shard(step: int, *, batch: int, rank: int = 0, world: int = 1) -> range:
    """The numbers of the draws that process `rank` of `world` takes at a step, `batch` of them.

    All processes together take `world * batch` draws in a row, the same ones for any `world` with that product.
    Raises ConfigError when the rank is not one of the world's.
    """
    if not 0 <= rank < world or batch < 1 or step < 0:
        raise ConfigError(
            f"a shard needs step 0 or more, batch 1 or more and 0 <= rank < world, "
            f"got step {step}, batch {batch}, rank {rank}, world {world}"
        )
    first = (step * world + rank) * batch
    return range(first, first + batch)
