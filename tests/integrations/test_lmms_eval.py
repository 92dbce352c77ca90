"""The task folder and the chat model for lmms-eval, driven as lmms-eval drives them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from tests.evaluate.written import LEFT, TOP
from tests.integrations.stubs import ROOT, ChatMessages, Request, chat_rounds, install_lmms_eval, load_file

import miras
from miras.data.masks import decode
from miras.errors import ContextFull
from miras.evaluate.cases import read_cases
from miras.evaluate.predictions import read_predictions
from miras.model.replies import Reply, Segment

TASKS = ROOT / "lmms_eval" / "tasks" / "miras_cases"
METRICS = {"miras_giou", "miras_ciou", "miras_bleu", "miras_answered"}


@pytest.fixture
def task() -> ModuleType:
    return load_file(TASKS / "utils.py", "miras_cases_task")


def settings(name: str, task: ModuleType) -> dict[str, Any]:
    """A task's YAML with what it includes, and its functions looked up as lmms-eval looks them up."""

    class Loader(yaml.SafeLoader):
        pass

    def function(loader: Any, node: Any) -> Any:
        module, name = loader.construct_scalar(node).split(".")
        assert module == "utils"
        return getattr(task, name)

    Loader.add_constructor("!function", function)
    found: dict[str, Any] = yaml.load((TASKS / name).read_text(), Loader)
    return {**settings(found.pop("include"), task), **found} if "include" in found else found


def docs_of(config: dict[str, Any], path: Path, tmp_path: Path) -> Any:
    """The documents as lmms-eval loads them: by `datasets`, then through process_docs."""
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(
        config["dataset_path"], data_files={"test": str(path)}, cache_dir=str(tmp_path / "cache")
    )
    return config["process_docs"](loaded[config["test_split"]])


def figures(config: dict[str, Any], docs: Any, results: list[Any]) -> dict[str, Any]:
    made = [config["process_results"](doc, result) for doc, result in zip(docs, results, strict=True)]
    return {one["metric"]: one["aggregation"]([row[one["metric"]] for row in made]) for one in config["metric_list"]}


def asked(chat: ChatMessages) -> str:
    return str(chat.messages[-1].content[-1].text)


@pytest.mark.parametrize("name", ["miras_direct", "miras_dialogues"])
def test_the_yaml_names_what_lmms_eval_needs(task: ModuleType, name: str) -> None:
    config = settings(f"{name}.yaml", task)
    assert config["task"] == name and {one["metric"] for one in config["metric_list"]} == METRICS
    assert config["output_type"] == ("generate_until" if name == "miras_direct" else "generate_until_multi_round")
    assert config["dataset_kwargs"]["data_files"]["test"] == "miras_cases.jsonl"


def test_a_dialogue_is_asked_round_by_round_with_its_history(
    task: ModuleType, folder: Path, truth: dict[str, str], tmp_path: Path
) -> None:
    config, seen = settings("miras_dialogues.yaml", task), []

    def chat(messages: ChatMessages) -> str:
        seen.append([(one.role, len(one.content), one.content[-1].text) for one in messages.messages])
        assert [image.size for image in messages.extract_media()[0]] == [(4, 4)]
        return truth[asked(messages)]

    docs = docs_of(config, folder / "dialogues.jsonl", tmp_path)
    results = [[chat_rounds(doc, config["doc_to_messages"], chat)] for doc in docs]
    assert seen[1] == [("user", 2, "Who meows?"), ("assistant", 1, "The cat."), ("user", 1, "Mark it.")]
    found = figures(config, docs, results)
    assert found["miras_giou"] == found["miras_ciou"] == 1.0 and found["miras_answered"] == 2
    # two words are too few for sacrebleu's four-grams, so BLEU is checked on a longer answer below


def test_simple_models_get_the_talk_as_text(task: ModuleType, folder: Path, tmp_path: Path) -> None:
    config = settings("miras_dialogues.yaml", task)
    doc = docs_of(config, folder / "dialogues.jsonl", tmp_path)[0]
    assert config["doc_to_text"](doc) == "Who meows?"
    said = ["The cat.<masks>[]</masks>"]
    visuals, text, ended, before, info = config["doc_to_text"](doc, round_idx=1, previous_output=said)
    assert text == "USER: Who meows?\nASSISTANT: The cat.\nUSER: Mark it." and not ended
    assert [image.size for image in visuals] == [(4, 4)] and (before, info) == (said, None)
    assert config["doc_to_text"](doc, round_idx=2, previous_output=[*said, "b"])[2] is True
    assert config["doc_to_target"](doc) == "It is [OBJ]cat[SEG]."


def test_figures_by_hand(task: ModuleType, folder: Path, tmp_path: Path) -> None:
    config = settings("miras_direct.yaml", task)
    docs = docs_of(config, folder / "direct.jsonl", tmp_path)
    # cup is the left half, plate the upper one: the first is marked rightly, the second not at all
    reply = "[SEG]" + f"<masks>{json.dumps([{'mask': LEFT}])}</masks>"
    found = figures(config, docs, [[reply]])
    assert found["miras_giou"] == 0.5 and found["miras_ciou"] == 8 / 16
    assert found["miras_bleu"] is None
    swapped = f"<masks>{json.dumps([{'mask': TOP}, {'mask': LEFT}])}</masks>"
    assert figures(config, docs, [[swapped]])["miras_giou"] == pytest.approx(4 / 12)


def test_ignored_pixels_count_for_neither(task: ModuleType) -> None:
    target = {"mask": LEFT, "ignore": TOP, "phrase": ""}
    doc = {
        "text": json.dumps({"id": "1", "image": None, "turns": [{"question": "?", "answer": "", "targets": [target]}]})
    }
    for mask in (LEFT, {**LEFT}):
        assert task.process_results(doc, [f"<masks>{json.dumps([{'mask': mask}])}</masks>"])["miras_giou"] == [(4, 4)]
    assert task.process_results(doc, [f"<masks>{json.dumps([{'mask': TOP}])}</masks>"])["miras_giou"] == [(0, 4)]


def test_unknown_masks_are_left_out(task: ModuleType) -> None:
    target = {"mask": None, "phrase": ""}
    doc = {
        "text": json.dumps({"id": "1", "image": None, "turns": [{"question": "?", "answer": "", "targets": [target]}]})
    }
    row = task.process_results(doc, ["It is."])
    assert row["miras_giou"] == [] and task.giou([row["miras_giou"]]) is None and task.ciou([[]]) is None


@pytest.mark.parametrize(
    "block",
    [
        "{",
        "[7]",
        '[{"mask": null}]',
        json.dumps([{"mask": {"size": [4, 4], "counts": "1"}}]),
        '[{"mask": {"size": 4}}]',
    ],
)
def test_a_block_that_cannot_be_read_marks_nothing(task: ModuleType, block: str) -> None:
    assert task.parted(f"It is.<masks>{block}</masks>") == ("It is.", [])


def test_bleu_is_sacrebleus(task: ModuleType) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    pairs = [
        ("the cat sat on the mat", "the cat sat on the mat today"),
        ("a dog barks at night", "the dog barks at night"),
    ]
    expected = sacrebleu.corpus_bleu([said for said, _ in pairs], [[true for _, true in pairs]]).score
    assert task.bleu([[pairs[0]], [pairs[1]]]) == pytest.approx(expected) and 0 < expected < 100


def test_answers_are_written_for_scoring(
    task: ModuleType, folder: Path, truth: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = settings("miras_dialogues.yaml", task), tmp_path / "predictions.jsonl"
    monkeypatch.setitem(os.environ, "MIRAS_PREDICTIONS", str(out))
    monkeypatch.setitem(os.environ, "MIRAS_MODEL", "mine")
    docs = docs_of(config, folder / "dialogues.jsonl", tmp_path)
    results = [[chat_rounds(doc, config["doc_to_messages"], lambda chat: truth[asked(chat)])] for doc in docs]
    figures(config, docs, results)
    read = read_predictions(out, read_cases(folder / "dialogues.jsonl"))
    assert read.about["model"] == "mine" and read[0].turns[1].text == "It is [OBJ]cat[SEG]."
    assert [mark.mask for mark in read[1].turns[0].masks] == [LEFT, TOP]


def test_another_file_is_refused(task: ModuleType, folder: Path, tmp_path: Path) -> None:
    (folder / "other.jsonl").write_text('{"format": "other"}\n{}\n')
    with pytest.raises(ValueError, match="written by `miras evaluate cases`"):
        docs_of(settings("miras_direct.yaml", task), folder / "other.jsonl", tmp_path)


class FakeSession:
    """Answers from the truth, remembers what it was told, and is full after a given number of turns."""

    def __init__(self, truth: dict[str, str], image: Any, room: int) -> None:
        self.truth, self.image, self.room = truth, image, room
        self.turns: list[tuple[str, str]] = []

    def force(self, question: str, answer: str) -> None:
        self.turns.append((question, answer))

    def ask(self, question: str) -> Reply:
        if len(self.turns) >= self.room:
            raise ContextFull("the context is full; start a new session")
        text, _, block = self.truth[question].partition("<masks>")
        marks = json.loads(block.removesuffix("</masks>")) if block else []
        self.turns.append((question, text))
        return Reply(text, tuple(Segment(one["phrase"], decode(one["mask"]), one["score"]) for one in marks))


@pytest.fixture
def wrapped(truth: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, list[FakeSession]]]:
    def make(room: int = 9, **options: Any) -> tuple[Any, list[FakeSession]]:
        sessions: list[FakeSession] = []

        class Model:
            def session(self, image: Any) -> FakeSession:
                sessions.append(FakeSession(truth, image, room))
                return sessions[-1]

        monkeypatch.setattr(
            miras, "Miras", type("Fake", (), {"from_pretrained": staticmethod(lambda *_, **__: Model())})
        )
        registered = install_lmms_eval(monkeypatch)
        load_file(ROOT / "lmms_eval" / "models" / "miras.py", "lmms_eval_chat_miras")
        return registered["miras"](**options), sessions

    return make


def test_the_chat_model_answers_in_one_session_per_dialogue(
    task: ModuleType, folder: Path, tmp_path: Path, wrapped: Callable[..., Any], truth: dict[str, str]
) -> None:
    config = settings("miras_dialogues.yaml", task)
    docs = docs_of(config, folder / "dialogues.jsonl", tmp_path)
    model, sessions = wrapped()
    model.task_dict = {"miras_dialogues": {"test": docs}}
    requests = [
        Request(("", config["doc_to_messages"], {}, number, "miras_dialogues", "test")) for number in range(len(docs))
    ]
    results = model.generate_until_multi_round(requests)
    assert [len(rounds) for rounds in results] == [2, 1] and len(sessions) == 2
    assert [question for question, _ in sessions[0].turns] == ["Who meows?", "Mark it."]
    assert np.asarray(sessions[0].image).shape == (4, 4, 3)
    found = figures(config, docs, [[rounds] for rounds in results])
    assert found["miras_giou"] == 1.0
    assert model.is_simple is False


def test_earlier_turns_of_the_messages_become_its_history(
    task: ModuleType, folder: Path, tmp_path: Path, wrapped: Callable[..., Any]
) -> None:
    doc = docs_of(settings("miras_direct.yaml", task), folder / "dialogues.jsonl", tmp_path)[0]
    model, sessions = wrapped()
    messages = task.doc_to_messages(doc, round_idx=1, previous_output=["A dog."])[0]
    model.task_dict = {"t": {"test": [doc]}}
    [result] = model.generate_until([Request(("", lambda _: messages, {}, 0, "t", "test"))])
    assert sessions[0].turns == [("Who meows?", "A dog."), ("Mark it.", "It is [OBJ]cat[SEG].")]
    assert task.parted(result.text)[1][0]["mask"] == LEFT


def test_a_full_context_is_an_empty_answer_and_no_image_an_error(
    task: ModuleType, folder: Path, tmp_path: Path, wrapped: Callable[..., Any]
) -> None:
    config = settings("miras_dialogues.yaml", task)
    docs = docs_of(config, folder / "dialogues.jsonl", tmp_path)
    model, _ = wrapped(room=1)
    model.task_dict = {"t": {"test": docs}}
    request = Request(("", config["doc_to_messages"], {}, 0, "t", "test"))
    assert model.generate_until_multi_round([request]) == [["The cat.", ""]]
    bare = [{"role": "user", "content": [{"type": "text", "text": "Who?"}]}]
    with pytest.raises(ValueError, match="one image, got 0"):
        model.generate_until([Request(("", lambda _: bare, {}, 0, "t", "test"))])
    with pytest.raises(NotImplementedError, match="no log-likelihoods"):
        model.loglikelihood([])
    with pytest.raises(ValueError, match="got batch_size 4"):
        wrapped(batch_size=4)
