"""How a model is asked for what a phrase or a sentence names: the field's words, plain ones, or your own."""

from miras.errors import ConfigError

__all__ = ["PHRASE_PROMPTS", "SENTENCE_PROMPTS", "fill", "sentence_prompt", "template"]

PHRASE_PROMPTS = {
    "standard": "What is {phrase} in this image? Please output segmentation mask.",
    "plain": "Please mark {phrase}.",
}
"""For phrases: LISA's words, which most papers kept for RefCOCO and ReasonSeg, and the words `nano` was taught with."""

SENTENCE_PROMPTS = {
    "standard": "{phrase} Please output segmentation mask.",
    "plain": "{phrase} Please mark it.",
}
"""The same for whole sentences, which ask by themselves."""


def template(prompt: str) -> str:
    """The words for a phrase: those of that name, or `prompt` itself where it says `{phrase}` once.

    Raises ConfigError otherwise.
    """
    if prompt in PHRASE_PROMPTS:
        return PHRASE_PROMPTS[prompt]
    if prompt.count("{phrase}") != 1:
        raise ConfigError(
            f"prompt should be {', '.join(PHRASE_PROMPTS)} or words with {{phrase}} in them once, got {prompt!r}"
        )
    return prompt


def sentence_prompt(prompt: str) -> str:
    """The words for a sentence; a template of one's own serves both."""
    return SENTENCE_PROMPTS.get(prompt) or template(prompt)


def fill(words: str, phrase: str) -> str:
    """The question itself. Braces in the phrase stay as they are."""
    return words.replace("{phrase}", phrase)
