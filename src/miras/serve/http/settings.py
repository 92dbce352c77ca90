"""What a server takes from its clients, and what it refuses."""

from dataclasses import dataclass

__all__ = ["ServerSettings"]


@dataclass(frozen=True)
class ServerSettings:
    """Limits and permissions of one server; the engine has its own."""

    model: str = "nano"
    """The model's name as clients write it."""
    token: str | None = None
    """What a client has to bring as `Authorization: Bearer …`; None lets everybody in."""
    names: tuple[str, ...] = ()
    """Host names by which the server may be called; empty allows any. Stops pages that rebind their own name to it."""
    origins: tuple[str, ...] = ()
    """Origins of other web pages that may use the server, as https://example.org; `*` is all of them."""
    image_hosts: tuple[str, ...] = ()
    """Hosts from which images are fetched when a chat message names their address; elsewhere none are."""
    body_bytes: int = 32 * 2**20
    """Most bytes of a request's body."""
    body_seconds: float = 60.0
    """Most seconds between two pieces of a request's body."""
    pixels: int = 25_000_000
    """Most pixels of an image, read from its header before it is decoded."""
    turns: int = 64
    """Most questions of a conversation."""
    words: int = 400
    """Most words of a question; it may have 16 times as many letters."""
    answer_tokens: int = 256
    """Most tokens of an answer that a client may ask for."""
    active: int = 64
    """Most requests that are under way at once; more are told to come back."""
    per_minute: int = 600
    """Most requests of one client in a minute; 0 is no limit."""
    log_content: bool = False
    """Whether questions and answers are logged."""
