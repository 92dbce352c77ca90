"""Text figures against whole-list sacrebleu, nltk, plain numpy, a plain METEOR and hand-worked cases."""

import json
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer
from nltk.tokenize import wordpunct_tokenize
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from tests.metrics.answers import ODD, Pair, answers_of, mixed

from miras import tokens
from miras.errors import ConfigError
from miras.metrics import text
from miras.metrics.text import COLUMNS, UNIT, TextSums, TextTools, figures, pair_statistics
from miras.metrics.wordnet import synonyms

WRITTEN = [
    "The left mirror of the car shows the road behind it.",
    "It is a small red cup on the wooden table, beside two plates.",
    "Yes, the person in the middle is holding an umbrella to keep dry.",
    "They are likely waiting for the bus, since all of them look down the street.",
    "The dog's collar tells that somebody owns it.",
]
MEANS = ("bleu_4", "rouge_l", "meteor")


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    """1,000 pairs from PRIST's answers where they are at hand, else 300 from a few sentences."""
    path = Path(__file__).resolve().parents[2] / ".." / "shared/data/prist/test.json"
    if not path.exists():
        return mixed(WRITTEN, 300)
    return mixed(answers_of(path)[0], 1000)


def sums_of(pairs: list[Pair], tools: TextTools | None = None) -> TextSums:
    sums = TextSums(tools or TextTools())
    for reference, generated in pairs:
        sums.update(reference, generated)
    return sums


def lcs(first: list[str], second: list[str]) -> int:
    """Length of the longest common subsequence, one row of the table at a time."""
    row = np.zeros(len(second) + 1, dtype=int)
    for word in first:
        grown = row.copy()
        for place, other in enumerate(second):
            grown[place + 1] = row[place] + 1 if word == other else max(row[place + 1], grown[place])
        row = grown
    return int(row[-1])


def rouge(reference: str, generated: str, *, stem: bool) -> float:
    """ROUGE-L's F-measure: 2 lcs / (m + n) over runs of a-z and 0-9."""
    porter = PorterStemmer()
    words = [re.findall("[a-z0-9]+", each.lower()) for each in (reference, generated)]
    if stem:
        words = [[porter.stem(word) if len(word) > 3 else word for word in each] for each in words]
    lengths = sum(map(len, words))
    return 2 * lcs(*words) / lengths if lengths else 0.0


def meteor(reference: str, generated: str) -> float:
    """METEOR as nltk defines it: each stage matches from the last word on, and stems what it leaves over."""
    porter = PorterStemmer()
    goal, said = (dict(enumerate(map(str.lower, wordpunct_tokenize(each)))) for each in (reference, generated))
    if not goal or not said:
        return 0.0
    lengths, met = (len(said), len(goal)), {}
    for stage in ("exact", "stem", "synonym"):
        if stage == "stem":
            goal, said = ({place: porter.stem(word) for place, word in each.items()} for each in (goal, said))
        for place in sorted(said, reverse=True):
            wanted = {said[place]} | (set(synonyms(said[place])) if stage == "synonym" else set())
            if fits := [other for other, word in goal.items() if word in wanted]:
                met[place] = max(fits)
                del goal[max(fits)], said[place]
    if not met:
        return 0.0
    chunks = sum(met.get(place - 1) != other - 1 for place, other in met.items())
    precision, recall = (len(met) / length for length in lengths)
    mean = precision * recall / (0.9 * precision + 0.1 * recall)
    return mean * (1 - 0.5 * (chunks / len(met)) ** 3)


def test_bleu_is_sacrebleus_over_the_whole_list(pairs: list[Pair]) -> None:
    references, generated = map(list, zip(*pairs, strict=True))
    whole = sacrebleu.corpus_bleu(generated, [references], force=True)
    computed = sums_of(pairs).compute()
    assert computed["bleu_4"] == pytest.approx(whole.score / 100, abs=1e-12) and 0.2 < computed["bleu_4"] < 0.9
    assert computed["tools"]["bleu_4"] == (
        f"sacrebleu|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"
    )


def test_bleu_is_that_of_plain_counts(pairs: list[Pair]) -> None:
    cut = Tokenizer13a()
    both = [(cut(reference.rstrip()).split(), cut(generated.rstrip()).split()) for reference, generated in pairs]
    logs = []
    for n in (1, 2, 3, 4):
        counts = [[Counter(zip(*(words[i:] for i in range(n)), strict=False)) for words in pair] for pair in both]
        met = sum((wanted & said).total() for wanted, said in counts)
        logs.append(np.log(met / sum(said.total() for _, said in counts)))
    lengths = [sum(map(len, side)) for side in zip(*both, strict=True)]
    whole = np.exp(np.mean(logs) + min(0, 1 - lengths[0] / lengths[1]))
    assert sums_of(pairs).compute()["bleu_4"] == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("stem", [False, True])
def test_rouge_l_is_that_of_a_plain_table(pairs: list[Pair], stem: bool) -> None:
    mean = sum(rouge(*pair, stem=stem) for pair in pairs) / len(pairs)
    computed = sums_of(pairs, TextTools(stem=stem)).compute()
    assert computed["rouge_l"] == pytest.approx(mean, abs=1e-9)
    assert f"stem:{'yes' if stem else 'no'}" in computed["tools"]["rouge_l"]


def test_meteor_is_that_of_a_plain_alignment(pairs: list[Pair]) -> None:
    for reference, generated in pairs:
        row = dict(zip(COLUMNS, pair_statistics(reference, generated).tolist(), strict=True))
        assert row["meteor"] / UNIT == pytest.approx(meteor(reference, generated), abs=1e-9), (reference, generated)
    mean = sum(meteor(*pair) for pair in pairs) / len(pairs)
    assert sums_of(pairs).compute()["meteor"] == pytest.approx(mean, abs=1e-9)


def test_dist_counts_distinct_n_grams(pairs: list[Pair]) -> None:
    words, neighbours = Counter[str](), Counter[tuple[str, ...]]()
    for _, generated in pairs:
        said = generated.lower().split()
        words.update(said)
        neighbours.update(tuple(said[i : i + 2]) for i in range(len(said) - 1))
    computed = sums_of(pairs).compute()
    assert computed["dist_1"] == len(words) / words.total()
    assert computed["dist_2"] == len(neighbours) / neighbours.total()


@pytest.mark.parametrize(
    ("reference", "generated", "expected"),
    [
        # all six words met, none beside the word it stood beside: penalty 0.5
        ("the cat sat on the mat", "on the mat sat the cat", {"rouge_l": 1 / 2, "meteor": 0.5}),
        # `stopped` by its stem, `auto` as a synonym, in one chunk: 2/3 less 0.5 / 8
        ("the car stops", "an auto stopped", {"rouge_l": 0, "meteor": 2 / 3 * (1 - 1 / 16)}),
        # nltk looks synonyms up by stems, and WordNet does not know `automobil`
        ("the car stops", "an automobile stopped", {"rouge_l": 0, "meteor": 1 / 6}),
        ("one two three four five", "one two three four", {"bleu_4": np.exp(1 - 5 / 4), "rouge_l": 8 / 9}),
        ("one two three four", "one two three four", {"bleu_4": 1, "rouge_l": 1, "meteor": 1 - 0.5 / 64}),
        ("Yes.", "Yes.", {"bleu_4": 0, "rouge_l": 1, "meteor": 1 - 0.5 / 8, "dist_1": 1, "dist_2": None}),
        ("A cat.", "", {"bleu_4": 0, "rouge_l": 0, "meteor": 0, "dist_1": None, "dist_2": None}),
        ("", "", {"bleu_4": 0, "rouge_l": 0, "meteor": 0, "dist_1": None, "dist_2": None}),
        ("", "A cat.", {"bleu_4": 0, "rouge_l": 0, "meteor": 0, "dist_1": 1, "dist_2": 1}),
    ],
)
def test_hand_worked_figures(reference: str, generated: str, expected: dict[str, float | None]) -> None:
    computed = sums_of([(reference, generated)]).compute()
    assert (computed["n"], computed["empty"]) == (1, int(not generated))
    for name, value in expected.items():
        assert computed[name] == (None if value is None else pytest.approx(value, abs=1e-9)), name


def test_meteor_of_the_example_in_nltks_documentation() -> None:
    reference = "It is a guide to action that ensures that the military will forever heed Party commands"
    generated = "It is a guide to action which ensures that the military always obeys the commands of the party"
    assert sums_of([(reference, generated)]).compute()["meteor"] == pytest.approx(0.6944, abs=5e-5)


def test_an_empty_answer_counts_and_no_answer_is_none() -> None:
    good, empty = ("one two three four five", "one two three four five"), ("six seven eight nine ten", "")
    both, alone = sums_of([good, empty]).compute(), sums_of([good]).compute()
    assert both["bleu_4"] == pytest.approx(np.exp(1 - 10 / 5), abs=1e-12) and alone["bleu_4"] == 1
    assert both["rouge_l"] == alone["rouge_l"] / 2 and both["meteor"] == alone["meteor"] / 2
    none = TextSums().compute()
    assert (none["n"], none["empty"]) == (0, 0)
    assert all(none[name] is None for name in (*MEANS, "dist_1", "dist_2"))
    assert json.loads(json.dumps(none)) == none


said = st.one_of(st.sampled_from([text for pair in ODD for text in pair]), st.text("ab cd.,é", max_size=12))


@given(st.lists(st.tuples(said, said, st.integers(0, 3)), max_size=12), st.permutations(range(4)))
def test_shards_merged_in_any_order_change_no_bit(cut: list[tuple[str, str, int]], order: list[int]) -> None:
    whole = sums_of([(reference, generated) for reference, generated, _ in cut])
    merged = TextSums()
    for shard in order:
        merged = merged + sums_of([(reference, generated) for reference, generated, at in cut if at == shard])
    assert merged.compute() == whole.compute()
    rows = np.array([pair_statistics(*pair[:2]) for pair in cut] or [np.zeros(len(COLUMNS))], dtype=np.int64)
    assert figures(rows.sum(axis=0)) == figures(whole.sums)
    assert rows.shape[1:] == whole.sums.shape == (len(COLUMNS),) and whole.sums.dtype == np.int64


@given(said, said)
def test_every_score_is_a_share(reference: str, generated: str) -> None:
    computed = sums_of([(reference, generated)]).compute()
    assert all(0 <= computed[name] <= 1 for name in MEANS)


def test_bertscore_stands_under_its_models_name() -> None:
    sums = TextSums(TextTools(bertscore="BERTScore[tiny]", bertscore_hash="tiny_L1"))
    sums.update("a", "b", bertscore=0.25)
    sums.update("a", "", bertscore=0.0)
    computed = (sums + TextSums(sums.tools)).compute()
    assert computed["BERTScore[tiny]"] == 0.125
    assert computed["tools"]["BERTScore[tiny]"] == "bert-score|tiny_L1"
    assert figures(sums.sums + pair_statistics("a", "b"))["bertscore"] is None  # one of three is unknown
    assert "bertscore" not in TextSums().compute() and not any("BERT" in name for name in TextSums().compute())


def test_other_tools_do_not_mix() -> None:
    with pytest.raises(ConfigError, match="do not add up"):
        TextSums() + TextSums(TextTools(stem=True))
    with pytest.raises(ConfigError, match=r"they name None, and the pair's is 0\.5"):
        TextSums().update("a", "b", bertscore=0.5)
    with pytest.raises(ConfigError, match=r"they name BERTScore\[x\], and the pair's is None"):
        TextSums(TextTools(bertscore="BERTScore[x]")).update("a", "b")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    text._bleu.cache_clear()
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(
        ConfigError, match=r"need sacrebleu, which is not installed; run pip install 'miras\[evaluate\]'"
    ):
        pair_statistics("a", "b")


def test_prists_test_answers_have_the_known_dist(shared_prist: Path) -> None:
    answers, last = answers_of(shared_prist)
    computed = sums_of([(answer, answer) for answer in answers]).compute()
    assert (computed["n"], len(last)) == (1463, 508)
    assert (round(100 * computed["dist_1"], 1), round(100 * computed["dist_2"], 1)) == (23.4, 64.3)
    assert computed["bleu_4"] == computed["rouge_l"] == 1 and computed["meteor"] > 0.99
    assert not {tokens.OBJ, tokens.SEG} & {word for answer in answers for word in answer.split()}


def test_the_example_in_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    document = (Path(__file__).resolve().parents[2] / "docs" / "text-metrics.md").read_text(encoding="utf-8")
    example, rest = document.split("```python\n")[1].split("```\n", 1)
    exec(example, {})
    printed = rest.split("```text\n")[1].split("```")[0]
    version = re.compile(r"version:[0-9.]+")  # any that the extra allows
    assert version.sub("", capsys.readouterr().out) == version.sub("", printed)
