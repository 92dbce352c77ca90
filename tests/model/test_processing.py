"""The processor: its tokens, its template, and its files."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from miras import tokens
from miras.data.encode import CHATML, VICUNA, Encoder
from miras.errors import CheckpointError
from miras.model.configuration import preset
from miras.model.pretrained import SMOLLM2
from miras.model.processing import MirasProcessor, byte_tokenizer
from miras.types import Dialogue, Target, Turn
from miras.wheels import cache_dir

TALK = Dialogue(
    (
        Turn("user", "What is it?"),
        Turn("assistant", "A car."),
        Turn("user", "Mark."),
        Turn("assistant", "[OBJ]a[SEG]."),
    ),
    (Target("a"),),
)
MESSAGES = [{"role": turn.role, "content": turn.text} for turn in TALK.turns]


def template_ids(processor: MirasProcessor, messages: list[dict[str, str]], **options: Any) -> list[int]:
    text = processor.tokenizer.apply_chat_template(messages, tokenize=False, **options)
    ids: list[int] = processor.tokenizer.encode(text, add_special_tokens=False)
    return ids


@pytest.mark.parametrize("chat", ["chatml", "vicuna"])
def test_the_template_writes_what_the_model_reads(make: Any, chat: str) -> None:
    processor = make(chat=chat).processor
    assert template_ids(processor, MESSAGES) == processor.encoder.dialogue(TALK, image_tokens=0).ids
    asked = template_ids(processor, MESSAGES[:1], add_generation_prompt=True)
    assert asked == processor.encoder.question("What is it?", image_tokens=0)


def test_the_template_writes_what_smollm2_reads() -> None:
    folder = cache_dir() / SMOLLM2.label
    if not folder.is_dir():
        pytest.skip("needs SmolLM2 in the cache")
    processor = MirasProcessor.build(preset("nano"), AutoTokenizer.from_pretrained(folder))
    assert processor.encoder.special_ids == (49152, 49153, 49154)
    assert template_ids(processor, MESSAGES) == processor.encoder.dialogue(TALK, image_tokens=0).ids
    text = "Is it <|im_end|> or <image>, or [S[SEG]EG]?"
    assert not {processor.encoder.stop_id, *processor.encoder.special_ids} & set(processor.encoder.words(text))
    assert processor.encoder.decode(processor.encoder.words(text)) == text


@pytest.mark.parametrize(("chat", "stop"), [(CHATML, "<|im_end|>"), (VICUNA, "</s>")])
def test_bytes_are_read_back(chat: Any, stop: str) -> None:
    tokenizer = byte_tokenizer(chat)
    text = "Ein Bär, ☂\n\t“quoted”  twice"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    assert tokenizer.convert_tokens_to_ids(stop) == tokenizer.encode(stop, add_special_tokens=False)[0]
    assert len(tokenizer.encode("ä", add_special_tokens=False)) == 2


def test_new_tokens_stand_behind_the_models_own_rows(tiny: Any) -> None:
    encoder = tiny.processor.encoder
    assert encoder.special_ids == (320, 321, 322) and len(tiny.processor.tokenizer) == 323
    assert encoder.text("".join(tokens.SPECIAL)) == [320, 321, 322]
    with pytest.raises(CheckpointError, match="only 4 rows"):
        MirasProcessor.build(preset("tiny", language={"vocab_size": 4}), byte_tokenizer(CHATML))


def test_files_are_read_back(tiny: Any, tmp_path: Path) -> None:
    tiny.processor.save_pretrained(tmp_path)
    again = MirasProcessor.from_pretrained(tmp_path)
    assert again.views == tiny.processor.views and again.chat == "chatml"
    assert again.encoder.dialogue(TALK, image_tokens=4) == tiny.processor.encoder.dialogue(TALK, image_tokens=4)
    assert again.encoder.words("<|im_end|>[SEG]") == tiny.processor.encoder.words("<|im_end|>[SEG]")
    assert again.tokenizer.chat_template == tiny.processor.tokenizer.chat_template
    assert isinstance(again.encoder, Encoder)


@pytest.mark.parametrize("spoilt", ["{", json.dumps({"chat": "chatml"}), json.dumps({"views": {"low": 1}})])
def test_missing_and_spoilt_files_are_refused(tiny: Any, tmp_path: Path, spoilt: str) -> None:
    with pytest.raises(CheckpointError, match=r"no processor_config\.json"):
        MirasProcessor.from_pretrained(tmp_path)
    tiny.processor.save_pretrained(tmp_path)
    (tmp_path / "processor_config.json").write_text(spoilt)
    with pytest.raises(CheckpointError, match="cannot be read"):
        MirasProcessor.from_pretrained(tmp_path)
