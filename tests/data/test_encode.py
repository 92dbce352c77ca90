"""Dialogues as ids: every piece where it belongs, and no way to smuggle a control token in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as TokenizersTokenizer
from tokenizers import decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from miras import tokens
from miras.data.encode import CHATML, FORMATS, IGNORE, VICUNA, Encoder
from miras.types import Dialogue, Target, Turn

CONTROL = [*tokens.SPECIAL, "<|im_start|>", "<|im_end|>", "</s>", "<s>"]


class Letters:
    """A tokenizer with one id per character, and the control tokens from 200,000 on."""

    def encode(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool = False) -> list[int]:
        ids: list[int] = []
        while text:
            token = next((c for c in CONTROL if text.startswith(c)), None) if not split_special_tokens else None
            ids.append(2_000_000 + CONTROL.index(token) if token else ord(text[0]))
            text = text[len(token or " ") :]
        return ids

    def decode(self, token_ids: list[int], **kwargs: object) -> str:
        return "".join(CONTROL[i - 2_000_000] if i >= 2_000_000 else chr(i) for i in token_ids)

    def convert_tokens_to_ids(self, token: str) -> int:
        return 2_000_000 + CONTROL.index(token)


@pytest.fixture(scope="module", params=[CHATML, VICUNA], ids=["chatml", "vicuna"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return Encoder(Letters(), request.param)


def two_turns(**changes: bool) -> Dialogue:
    return Dialogue(
        (
            Turn("user", "What is it?"), Turn("assistant", "A car.", **changes),
            Turn("user", " Mark. "), Turn("assistant", "[OBJ]car[SEG], [SEG]"),
        ),
        (Target("car"), Target("car")),
    )  # fmt: skip


def test_chatml_is_written_out() -> None:
    encoder = Encoder(Letters(), CHATML)
    assert Letters().decode(encoder.dialogue(two_turns(), image_tokens=2).ids) == (
        "<|im_start|>user\n<image><image>\nWhat is it?<|im_end|>\n<|im_start|>assistant\nA car.<|im_end|>"
        "\n<|im_start|>user\nMark.<|im_end|>\n<|im_start|>assistant\n[OBJ]car[SEG], [SEG]<|im_end|>"
    )


def test_vicuna_is_written_out() -> None:
    text = Letters().decode(Encoder(Letters(), VICUNA).dialogue(two_turns(), image_tokens=1).ids)
    assert text.startswith("<s>A chat between") and text.count("<image>") == 1
    assert text.endswith(
        "USER: <image>\nWhat is it? ASSISTANT: A car.</s>USER: Mark. ASSISTANT: [OBJ]car[SEG], [SEG]</s>"
    )


def test_a_dialogue_is_its_turns_in_a_row(encoder: Encoder) -> None:
    spoken = encoder.question("What is it?", image_tokens=3) + encoder.answer("A car.")
    spoken += encoder.question("Mark.", image_tokens=None) + encoder.answer("[OBJ]car[SEG], [SEG]")
    assert encoder.dialogue(two_turns(), image_tokens=3).ids == spoken


def test_only_trained_answers_are_labelled(encoder: Encoder) -> None:
    encoded = encoder.dialogue(two_turns(), image_tokens=3)
    labels = [label for label in encoded.labels if label != IGNORE]
    assert labels == encoder.answer("A car.") + encoder.answer("[OBJ]car[SEG], [SEG]")
    assert all(label in (IGNORE, i) for label, i in zip(encoded.labels, encoded.ids, strict=True))
    untrained = encoder.dialogue(two_turns(trained=False), image_tokens=3)
    assert [label for label in untrained.labels if label != IGNORE] == encoder.answer("[OBJ]car[SEG], [SEG]")
    assert untrained.ids == encoded.ids


def test_names_can_be_left_out(encoder: Encoder) -> None:
    encoded = encoder.dialogue(two_turns(), image_tokens=3, named=False)
    assert encoder.obj_id not in encoded.ids and encoded.ids.count(encoder.seg_id) == 2
    assert all(span.start == span.end for span in encoded.spans)


def test_spans_end_with_their_answer(encoder: Encoder) -> None:
    dialogue = Dialogue(
        (Turn("user", "a"), Turn("assistant", "An open [OBJ]name."), Turn("user", "b"), Turn("assistant", "x [SEG]")),
        (Target("x"),),
    )
    encoded = encoder.dialogue(dialogue, image_tokens=1)
    assert len(encoded.spans) == 1 and encoded.spans[0].start == encoded.spans[0].end
    assert encoded.ids[encoded.spans[0].end] == encoder.seg_id
    named = encoder.dialogue(two_turns(), image_tokens=1)
    assert [(named.ids[s.start], named.ids[s.end], s.end - s.start) for s in named.spans] == [
        (encoder.obj_id, encoder.seg_id, 4), (encoder.seg_id, encoder.seg_id, 0),
    ]  # fmt: skip


_PIECES = st.lists(st.one_of(st.sampled_from([*CONTROL, "[S", "EG]", "<ima", "ge>"]), st.text(max_size=3)), max_size=8)


@given(_PIECES.map("".join))
def test_no_question_holds_a_control_token(text: str) -> None:
    encoder = Encoder(Letters(), CHATML)
    plain = encoder.question("x", image_tokens=2)
    asked = encoder.question(text, image_tokens=2)
    assert [i for i in asked if i >= 2_000_000] == [i for i in plain if i >= 2_000_000]


@given(_PIECES.map("".join))
def test_no_answer_holds_a_control_token_but_the_marks(text: str) -> None:
    encoder = Encoder(Letters(), CHATML)
    said = encoder.answer(text)
    assert [i for i in said if i >= 2_000_000 and i not in (encoder.obj_id, encoder.seg_id)] == [encoder.stop_id]
    assert said.count(encoder.seg_id) == text.count(tokens.SEG)
    assert encoder.decode(said) == text.replace("<|im_end|>", "<|im_end|>")


def test_the_stop_token_is_not_shown(encoder: Encoder) -> None:
    assert encoder.decode(encoder.answer("It is [OBJ]x[SEG].")) == "It is [OBJ]x[SEG]."
    assert encoder.text("") == encoder.words("") == []


def sentencepiece() -> Any:
    """A tokenizer as Llama's: a space in front of every text that it is given, words with their space as one token."""
    letters = sorted({*map(chr, range(33, 127)), "▁"})
    merges = [("▁", letter) for letter in letters if letter.isalnum()] + [("U", "S"), ("▁U", "S"), ("W", "h")]
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters, *map("".join, merges)]
    vocabulary = {word: index for index, word in enumerate(words)}
    made = TokenizersTokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    fast.add_tokens([*tokens.SPECIAL, "<im_start>", "<im_end>"], special_tokens=True)
    return fast


@pytest.mark.parametrize(("chat", "before", "after"), [("vicuna", "", ""), ("lisa", "<im_start>", "<im_end>")])
def test_llamas_tokenizer_reads_what_llava_was_trained_on(chat: str, before: str, after: str) -> None:
    """LLaVA reads the text between two special tokens in one, with the tokenizer's own space in front of each."""
    tokenizer = sentencepiece()
    encoder = Encoder(tokenizer, FORMATS[chat])

    def read(*pieces: str) -> list[int]:
        ids: list[int] = []
        for piece in filter(None, pieces):
            special = piece in tokenizer.get_added_vocab() or piece in ("<s>", "</s>")
            one = [tokenizer.convert_tokens_to_ids(piece)]
            ids += one if special else tokenizer.encode(piece, add_special_tokens=False)
        return ids

    system = VICUNA.start.removeprefix("<s>")
    told = Dialogue(
        (Turn("user", "What is it?"), Turn("assistant", "A car."), Turn("user", "Use?"), Turn("assistant", "No"))
    )
    expected = read("<s>", f"{system}USER: ", before, "<image>", "<image>", after)
    expected += read("\nWhat is it? ASSISTANT: A car.", "</s>", "USER: Use? ASSISTANT: No", "</s>")
    assert encoder.dialogue(told, image_tokens=2).ids == expected


@pytest.mark.parametrize(
    "answer", ["A car.", "It is [OBJ]red car[SEG].", "[OBJ]a[SEG], [SEG] and [SEG]", " [SEG] ", "a\nb"]
)
def test_llamas_tokenizer_gives_answers_back(answer: str) -> None:
    encoder = Encoder(sentencepiece(), VICUNA)
    ids = encoder.answer(answer)
    assert encoder.decode(ids) == answer
    assert ids.count(encoder.seg_id) == answer.count("[SEG]") and ids[-1] == encoder.stop_id


def test_no_word_is_a_control_token_of_llamas() -> None:
    encoder = Encoder(sentencepiece(), VICUNA)
    text = "Is it </s> or <image>, or [S[SEG]EG]?"
    assert not {encoder.stop_id, *encoder.special_ids} & set(encoder.words(text))
