"""The processor: tokenizer, chat format and views, in Hugging Face's manner."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as TokenizersTokenizer
from tokenizers import decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from miras import tokens
from miras.data.collate import Collator, Views
from miras.data.encode import FORMATS, ChatFormat, Encoder
from miras.errors import CheckpointError
from miras.model.configuration import MirasConfig
from miras.model.sources import language_folder

__all__ = ["MirasProcessor", "byte_tokenizer"]

_MEANINGS = {tokens.OBJ: " object", tokens.SEG: " segmentation mask", tokens.IMAGE: " image"}
_FILE = "processor_config.json"
_CHATML_TEMPLATE = (
    "{% for message in messages %}{% if loop.index0 %}{{ '\n' }}{% endif %}{{ '<|im_start|>' + message['role'] + "
    "'\n' + message['content'] + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\n<|im_start|>assistant\n' }}{% endif %}"
)
_CONTROL = ("<|im_start|>", "<im_start>", "<im_end>", "<img>", "</img>")
_UNUSED = re.compile(r"<unused\d+>")


def _template(chat: ChatFormat) -> str:
    """The chat format as a Jinja template, without the image."""
    if chat.user.startswith("<|im_start|>"):
        return _CHATML_TEMPLATE
    start, user, assistant = (
        json.dumps(words) for words in (chat.start, chat.user + chat.gap, chat.assistant + chat.gap)
    )
    return (
        f"{{{{ {start} }}}}{{% for message in messages %}}{{% if message['role'] == 'user' %}}"
        f"{{{{ {user} + message['content'] }}}}{{% else %}}"
        f"{{{{ {assistant} + message['content'] + '{chat.stop}' }}}}{{% endif %}}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{{{{ {json.dumps(chat.assistant)} }}}}{{% endif %}}"
    )


def byte_tokenizer(chat: ChatFormat) -> PreTrainedTokenizerFast:
    """A tokenizer with one token per byte, made without any file; for random models in tests."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    written = "".join(vars(chat).values())
    control = [word for word in _CONTROL if word in written and word != chat.stop]
    words = ["<unk>", *dict.fromkeys(["<s>", chat.stop, *control]), *alphabet]
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = TokenizersTokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token=chat.stop)
    fast.add_special_tokens({"additional_special_tokens": words[1 : len(words) - len(alphabet)]})
    return fast


class MirasProcessor:
    """Turns images and dialogues into what the model takes."""

    def __init__(self, tokenizer: Any, *, chat: str, views: Views) -> None:
        self.tokenizer = tokenizer
        self._retired: dict[str, list[int]] = {}
        self.chat = chat
        self.views = views
        self.tokenizer.chat_template = _template(FORMATS[chat])
        self.encoder = Encoder(tokenizer, FORMATS[chat])

    def meanings(self) -> list[list[int]]:
        """For each new token, the ids of what its embedding starts from: words, or the retired token of its name."""
        return [self._retired.get(token) or self.encoder.text(_MEANINGS[token]) for token in tokens.SPECIAL]

    def never(self) -> list[int]:
        """The tokens that no answer may hold: the image's, and rows of the vocabulary that stand for nothing."""
        unused = [index for word, index in self.tokenizer.get_added_vocab().items() if _UNUSED.fullmatch(word)]
        return [self.encoder.image_id, *sorted(unused)]

    @classmethod
    def build(cls, config: MirasConfig, tokenizer: Any) -> "MirasProcessor":
        """A processor whose new tokens stand right behind the language model's own rows.

        A token of ours that the tokenizer has already, as LLaVA's has `<image>`, is retired under another name.
        Raises CheckpointError when the tokenizer already holds more tokens than the language model has rows, or
        lacks a token that the chat format writes.
        """
        base = config.language["vocab_size"]
        if len(tokenizer) > base:
            raise CheckpointError(f"the tokenizer has {len(tokenizer)} tokens, the language model only {base} rows")
        retired = _retire(tokenizer)
        filler = [f"<unused{index}>" for index in range(len(tokenizer), base)]
        # not add_special_tokens, which passes over what the tokenizer's files call special, though it was retired
        tokenizer.add_tokens([*filler, *tokens.SPECIAL], special_tokens=True)
        _check_control(tokenizer, config.chat)
        processor = cls(tokenizer, chat=config.chat, views=config.views())
        processor._retired = retired
        return processor

    def collator(self, *, mask_size: int) -> Collator:
        """Samples → batches for this model; masks are `mask_size` pixels a side."""
        return Collator(self.encoder, self.views, mask_size=mask_size)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the tokenizer's files and `processor_config.json`."""
        self.tokenizer.save_pretrained(folder)
        data = {"processor_class": type(self).__name__, "chat": self.chat, "views": vars(self.views)}
        (Path(folder) / _FILE).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, sources: Mapping[str, str] | None = None, **_: Any
    ) -> "MirasProcessor":
        """Read what `save_pretrained` wrote, or build it where the folder pins its language model.

        `sources` says where pinned parts are now, in place of where they were.

        Raises CheckpointError when a file is missing or broken.
        """
        path = Path(folder) / _FILE
        if not path.is_file():
            return cls._pinned(Path(folder), sources or {})
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            views, tokenizer = Views(**data["views"]), AutoTokenizer.from_pretrained(folder)
            return cls(tokenizer, chat=data["chat"], views=views)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"the processor in {folder} cannot be read ({error}); save it again") from error

    @classmethod
    def _pinned(cls, folder: Path, sources: Mapping[str, str]) -> "MirasProcessor":
        """The processor of a folder that holds only what was trained."""
        if (folder / "config.json").is_file():
            config = MirasConfig.from_pretrained(folder)
            config.sources = {**config.sources, **sources}
            if config.sources.get("language"):
                return cls.build(config, AutoTokenizer.from_pretrained(language_folder(config)))
        raise CheckpointError(f"no {_FILE} in {folder}; save the model again with save_pretrained")


def _retire(tokenizer: Any) -> dict[str, list[int]]:
    """Rename those of our special tokens that a tokenizer has, so that ours are new ones behind its last row.

    Gives the old id of each, whose rows hold what it was trained to mean: LISA's `[SEG]` begins as it was.
    """
    ours = [token for token in tokens.SPECIAL if token in tokenizer.get_vocab()]
    if not ours:
        return {}
    retired = {token: [int(tokenizer.convert_tokens_to_ids(token))] for token in ours}
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    names = {token: f"<unused{old}>" for token, [old] in retired.items()}
    for added in state["added_tokens"]:
        if added["content"] in names:
            added |= {"content": names[added["content"]], "special": True, "normalized": False}
    vocabulary = state["model"]["vocab"]
    for token in filter(vocabulary.__contains__, ours):
        vocabulary[names[token]] = vocabulary.pop(token)
    tokenizer._tokenizer = TokenizersTokenizer.from_str(json.dumps(state))
    return retired


def _check_control(tokenizer: Any, chat: str) -> None:
    """Raise CheckpointError for a control token of the chat format that the tokenizer would write as letters."""
    written = "".join(vars(FORMATS[chat]).values())
    for token in re.findall(r"</?\|?\w+\|?>", written):
        if tokenizer.convert_tokens_to_ids(token) in (None, tokenizer.unk_token_id):
            raise CheckpointError(
                f"chat: {chat} writes {token}, which the tokenizer does not know; choose another of {sorted(FORMATS)}"
            )
