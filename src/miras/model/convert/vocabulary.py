"""The tokenizer of a LISA release without its [SEG], which becomes one of our own tokens."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from miras import tokens
from miras.errors import CheckpointError

__all__ = ["without_seg"]


def without_seg(folder: Path) -> tuple[PreTrainedTokenizerFast, int]:
    """The folder's tokenizer without [SEG], and the id that [SEG] had; tokens behind it move down by one.

    What LISA adds to LLaMA's 32,000 tokens differs: in LISA-7B-v1 [SEG] comes last, after <im_patch>, <im_start> and
    <im_end>; in the 13B ones it comes first. So its id is read, never assumed. Raises CheckpointError where the
    tokenizer cannot be read or knows no [SEG].
    """
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        data = json.loads(tokenizer.backend_tokenizer.to_str())
    except (OSError, ValueError, ImportError, AttributeError, TypeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"the tokenizer in {folder} cannot be read ({said}); fetch tokenizer.model and added_tokens.json as well; "
            "pip install sentencepiece if it is missing"
        ) from error
    added = {entry["content"]: entry["id"] for entry in data["added_tokens"]}
    if (seg := added.get(tokens.SEG)) is None:
        raise CheckpointError(
            f"the tokenizer in {folder} should have {tokens.SEG} among its added tokens, got {', '.join(added)}; "
            "give a release of LISA"
        )
    kept = [entry for entry in data["added_tokens"] if entry["content"] != tokens.SEG]
    data["added_tokens"] = [entry | {"id": entry["id"] - (entry["id"] > seg)} for entry in kept]
    fast = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(data)),
        unk_token=tokenizer.unk_token, bos_token=tokenizer.bos_token, eos_token=tokenizer.eos_token,
    )  # fmt: skip
    return fast, int(seg)
