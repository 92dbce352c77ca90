"""Every error that miras raises on purpose.

::

    MirasError
    ├── ConfigError          a setting is missing, unknown or contradicts another
    ├── DataError            a file or record given by the user cannot be used
    │   ├── ImageError       not an image, broken, too large or too small
    │   ├── MaskError        a mask does not decode or does not fit its image
    │   └── DialogueError    a dialogue breaks the PRIST rules
    ├── BatchError           tensors of one batch do not fit together
    ├── CheckpointError      weights, tokens or image-token counts do not match the model
    ├── LlmError             a language-model server cannot be used as asked
    │   ├── BudgetSpent      the tokens or the money of the run are used up
    │   └── ReplyRejected    a reply breaks its schema or a rule
    ├── WeightsUnavailable   pretrained parts can neither be found nor fetched
    ├── EngineBusy           more is asked of a server than it takes at once
    ├── EngineStopped        a server is stopping and takes nothing new
    └── SessionError         a conversation cannot go on as asked
        ├── EmptyQuestion    the question holds no words
        ├── QuestionTooLong  the question alone would not fit the context
        ├── ContextFull      the conversation has used up the context
        └── SessionGone      there is no conversation of that name
"""

__all__ = [
    "BatchError",
    "BudgetSpent",
    "CheckpointError",
    "ConfigError",
    "ContextFull",
    "DataError",
    "DialogueError",
    "EmptyQuestion",
    "EngineBusy",
    "EngineStopped",
    "ImageError",
    "LlmError",
    "MaskError",
    "MirasError",
    "QuestionTooLong",
    "ReplyRejected",
    "SessionError",
    "SessionGone",
    "WeightsUnavailable",
]


class MirasError(Exception):
    """Base of all errors below; its message says what was expected, what came and what to do."""


class ConfigError(MirasError):
    """A setting is missing, unknown or contradicts another."""


class DataError(MirasError):
    """A file or record given by the user cannot be used."""


class ImageError(DataError):
    """A file is not an image, is broken, or has unusable dimensions."""


class MaskError(DataError):
    """A mask does not decode or does not fit its image."""


class DialogueError(DataError):
    """A dialogue breaks the rules of the PRIST format."""


class BatchError(MirasError):
    """Tensors of one batch do not fit together."""


class CheckpointError(MirasError):
    """Weights, token ids or image-token counts do not match the model."""


class LlmError(MirasError):
    """A language-model server cannot be reached, refuses, or does not know what is asked."""


class BudgetSpent(LlmError):
    """The tokens or the money that a run may use are used up; what is finished is kept."""


class ReplyRejected(LlmError):
    """A reply breaks its schema or a rule, and did so each time it was asked for."""

    def __init__(self, message: str, rule: str = "schema") -> None:
        super().__init__(message)
        self.rule = rule
        """The rule in a word or two, the same for every reply that breaks it."""


class WeightsUnavailable(MirasError):
    """Pretrained parts can neither be found in the cache nor fetched."""


class SessionError(MirasError):
    """A conversation cannot go on as asked."""


class EmptyQuestion(SessionError):
    """The question holds no words."""


class QuestionTooLong(SessionError):
    """The question alone would not fit the model's context."""


class ContextFull(SessionError):
    """The conversation has used up the model's context."""


class EngineBusy(MirasError):
    """More is asked of a server than it takes at once; the same may be asked again later."""


class EngineStopped(MirasError):
    """A server is stopping and takes nothing new."""


class SessionGone(SessionError):
    """There is no conversation of that name."""
