"""Text figures of generated answers, from whole numbers that are added and divided once.

Per pair of reference and generated answer, BLEU's n-gram counts (Papineni et al. 2002, as sacrebleu counts them),
ROUGE-L's F-measure (Lin 2004, rouge-score), METEOR (Lavie and Agarwal 2007, nltk) and, where asked for, BERTScore's F1
become one row of whole numbers. Rows add up to those of any set of pairs, so shards merge and sets resample exactly.
Dist-1 and Dist-2 count distinct n-grams, whose sets are united instead (`miras.metrics.distinct`).

All figures are 0..1. Empty rule: where the generated answer or its reference has no words the pair scores 0, as in the
four tools; a generated answer without words still counts, and BLEU's brevity penalty sees it. Over no answers at all
every figure is None. Texts come without special tokens (`miras.tokens.strip`).
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from miras.errors import ConfigError
from miras.metrics.distinct import Distinct
from miras.metrics.packages import package, package_version
from miras.metrics.wordnet import Synonyms

__all__ = ["COLUMNS", "UNIT", "TextSums", "TextTools", "figures", "pair_statistics"]

UNIT = 2**32
"""ROUGE-L, METEOR and BERTScore of a pair are counted in units of 1 / UNIT: sums of 2**31 pairs still fit an int64."""

COLUMNS = (
    "answers",
    "empty",
    *(f"bleu_correct_{n}" for n in (1, 2, 3, 4)),
    *(f"bleu_total_{n}" for n in (1, 2, 3, 4)),
    "bleu_generated",
    "bleu_reference",
    "rouge_l",
    "meteor",
    "bertscore",
    "bertscored",
)
"""What the numbers of a pair are: 1, whether the generated answer has no words, BLEU's matched and generated n-grams
and both lengths in tokens, three scores in units of 1 / UNIT, and whether the last of them is known."""


@dataclass(frozen=True)
class TextTools:
    """What figures are computed with; only those of the same tools may be merged or compared."""

    stem: bool = False
    """Whether ROUGE-L compares Porter stems instead of words."""
    bertscore: str | None = None
    """The name that BERTScore is reported under, which names its model; None leaves BERTScore out."""
    bertscore_hash: str | None = None
    """bert-score's own account of model, layer and versions."""

    def signatures(self) -> dict[str, str]:
        """Tool, version and settings of each figure, as one line."""
        stem = "yes" if self.stem else "no"
        lines = {
            "bleu_4": f"sacrebleu|{_bleu().get_signature()}",
            "rouge_l": f"rouge-score|rougeL:fmeasure|stem:{stem}|version:{package_version('rouge-score')}",
            "meteor": f"nltk|tok:wordpunct|alpha:0.9|beta:3|gamma:0.5|wordnet:3.0|version:{package_version('nltk')}",
            "dist": "whitespace|case:lower|corpus",
        }
        return lines if self.bertscore is None else lines | {self.bertscore: f"bert-score|{self.bertscore_hash}"}


def pair_statistics(
    reference: str, generated: str, *, stem: bool = False, bertscore: float | None = None
) -> np.ndarray:
    """The numbers of one pair in the order of COLUMNS, (len(COLUMNS),) int64; rows of several pairs may be added.

    `bertscore` is the pair's F1 where it has been computed. Raises ConfigError when the tools are not installed.
    """
    bleu = _bleu().corpus_score([generated], [[reference]])
    scores = {
        "answers": 1,
        "empty": int(not generated.strip()),
        "bleu_generated": bleu.sys_len,
        "bleu_reference": bleu.ref_len,
        "rouge_l": _in_units(_rouge(stem).score(reference, generated)["rougeL"].fmeasure),
        "meteor": _in_units(_meteor(reference, generated)),
        "bertscore": _in_units(bertscore or 0.0),
        "bertscored": int(bertscore is not None),
        **{f"bleu_correct_{n}": count for n, count in enumerate(bleu.counts, start=1)},
        **{f"bleu_total_{n}": count for n, count in enumerate(bleu.totals, start=1)},
    }
    return np.array([scores[name] for name in COLUMNS], dtype=np.int64)


def figures(sums: np.ndarray) -> dict[str, float | None]:
    """`bleu_4`, `rouge_l`, `meteor` and `bertscore`, 0..1, from added rows of `pair_statistics`, (len(COLUMNS),).

    All are None over no answers, and `bertscore` is where not every answer has one.
    """
    total = {name: int(value) for name, value in zip(COLUMNS, sums, strict=True)}
    answers = total["answers"]
    if not answers:
        return dict.fromkeys(("bleu_4", "rouge_l", "meteor", "bertscore"))
    bleu = type(_bleu()).compute_bleu(
        correct=[total[f"bleu_correct_{n}"] for n in (1, 2, 3, 4)],
        total=[total[f"bleu_total_{n}"] for n in (1, 2, 3, 4)],
        sys_len=total["bleu_generated"],
        ref_len=total["bleu_reference"],
        smooth_method=_bleu().smooth_method,
    )
    mean = {name: total[name] / (UNIT * answers) for name in ("rouge_l", "meteor", "bertscore")}
    known = total["bertscored"] == answers
    return {"bleu_4": min(bleu.score / 100, 1.0), **mean, "bertscore": mean["bertscore"] if known else None}


@dataclass
class TextSums:
    """Everything that the text figures of a set of answers need."""

    tools: TextTools = TextTools()
    sums: np.ndarray = field(default_factory=lambda: np.zeros(len(COLUMNS), dtype=np.int64))
    """Added rows of `pair_statistics`, (len(COLUMNS),) int64."""
    distinct: Distinct = field(default_factory=Distinct)
    """N-grams of the generated answers."""

    def update(self, reference: str, generated: str, *, bertscore: float | None = None) -> None:
        """Count one pair; `bertscore` is its F1 where `tools` name BERTScore.

        Raises ConfigError when it is missing there, or is given and `tools` do not say where it comes from.
        """
        if (bertscore is None) != (self.tools.bertscore is None):
            raise ConfigError(
                f"a pair comes with its BERTScore exactly when the tools name one; they name {self.tools.bertscore}, "
                f"and the pair's is {bertscore}; make the tools with BertScore.tools()"
            )
        self.add(pair_statistics(reference, generated, stem=self.tools.stem, bertscore=bertscore), generated)

    def add(self, row: np.ndarray, generated: str) -> None:
        """Count the numbers (len(COLUMNS),) of one pair that `pair_statistics` gave with these tools."""
        self.sums = self.sums + row
        self.distinct.update(generated)

    def __add__(self, other: "TextSums") -> "TextSums":
        """The sums of both sets of answers. Raises ConfigError when their tools differ."""
        if self.tools != other.tools:
            raise ConfigError(
                f"figures of different tools do not add up: {self.tools} and {other.tools}; score both with the same"
            )
        return TextSums(self.tools, self.sums + other.sums, self.distinct + other.distinct)

    def compute(self) -> dict[str, Any]:
        """Every figure by name, 0..1, with `n` answers, `empty` of them without words, and the `tools` of each.

        BERTScore stands under the name that its model gives it, and only where it was asked for.
        """
        total = dict(zip(COLUMNS, self.sums.tolist(), strict=True))
        found = figures(self.sums)
        bertscore = found.pop("bertscore")
        return {
            "n": total["answers"],
            "empty": total["empty"],
            **found,
            **self.distinct.compute(),
            **({} if self.tools.bertscore is None else {self.tools.bertscore: bertscore}),
            "tools": self.tools.signatures(),
        }


def _in_units(score: float) -> int:
    return round(score * UNIT)


@cache
def _bleu() -> Any:
    """BLEU as sacrebleu sets it by default: 13a tokens, case kept, exponential smoothing, at most 4-grams."""
    bleu = package("sacrebleu").BLEU()
    bleu.corpus_score(["a"], [["a"]])  # its signature names the number of references, which it knows from here on
    return bleu


@cache
def _rouge(stem: bool) -> Any:
    return package("rouge_score.rouge_scorer").RougeScorer(["rougeL"], use_stemmer=stem)


def _meteor(reference: str, generated: str) -> float:
    """METEOR of one pair. Words and runs of punctuation are tokens: a rule that needs no fetched model."""
    tokens = package("nltk.tokenize").wordpunct_tokenize
    meteor = package("nltk.translate.meteor_score").single_meteor_score
    return float(meteor(tokens(reference), tokens(generated), wordnet=Synonyms(), alpha=0.9, beta=3.0, gamma=0.5))
