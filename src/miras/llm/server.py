"""What a command says about the server that it asks, and the client that comes of it.

Every command that asks a server takes the same options, pace and purse among them, and finds its key in the same place.
"""

import inspect
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from miras.errors import ConfigError

if TYPE_CHECKING:
    from miras.llm.client import Client, Endpoint
    from miras.llm.limits import Limits
    from miras.llm.store import Store

__all__ = ["KEYS", "ServerOptions", "asks_a_server", "open_client"]

KEYS = ("MIRAS_API_KEY", "OPENAI_API_KEY")
"""Where the key of a server is looked for, in the environment; it is never written down."""


@dataclass(frozen=True)
class ServerOptions:
    """The options of a command that asks a server; each field is one of them."""

    server: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server, up to /v1.")] = None
    at_once: Annotated[int, typer.Option(min=1, help="Requests in flight.")] = 16
    requests_per_minute: Annotated[float | None, typer.Option(min=0.001)] = None
    tokens_per_minute: Annotated[float | None, typer.Option(min=1)] = None
    budget_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens that the run may use.")] = None
    budget_money: Annotated[float | None, typer.Option(min=0, help="Money that the run may cost.")] = None
    prompt_price: Annotated[float, typer.Option(min=0, help="Price of a million prompt tokens.")] = 0.0
    reply_price: Annotated[float, typer.Option(min=0, help="Price of a million reply tokens.")] = 0.0
    temperature: Annotated[float | None, typer.Option(min=0, max=2)] = None
    reply_tokens: Annotated[int, typer.Option(min=64, help="Most tokens of one reply.")] = 2048
    timeout: Annotated[float, typer.Option(min=1, help="Seconds until a request is given up.")] = 120.0

    def endpoint(self, model: str) -> "Endpoint":
        """That model on the server, asked so."""
        from miras.llm.client import Endpoint

        return Endpoint(model, self.server, self.temperature, self.reply_tokens, timeout=self.timeout)

    def limits(self) -> "Limits":
        """Pace and purse. Raises ConfigError for a budget in money without a price."""
        from miras.llm.limits import Limits

        if self.budget_money is not None and not (self.prompt_price or self.reply_price):
            raise ConfigError("--budget-money needs --prompt-price and --reply-price, got neither; give them")
        return Limits(
            self.at_once,
            self.requests_per_minute,
            self.tokens_per_minute,
            self.budget_tokens,
            self.budget_money,
            self.prompt_price,
            self.reply_price,
        )


def asks_a_server(command: Callable[..., None]) -> Callable[..., None]:
    """The command with one option for each field of ServerOptions, in place of its parameter `asked`."""
    own = inspect.signature(command).parameters
    shared = inspect.signature(ServerOptions).parameters

    @wraps(command)
    def whole(**given: Any) -> None:
        asked = ServerOptions(**{name: given.pop(name) for name in shared})
        command(**given, asked=asked)

    # options are read from the signature, by keyword, so those without a default may stand anywhere
    options = [one for name, one in own.items() if name != "asked"] + list(shared.values())
    keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in options]
    whole.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
    whole.__annotations__ = {one.name: one.annotation for one in keyword}
    return whole


@asynccontextmanager
async def open_client(endpoint: "Endpoint", store: "Store", limits: "Limits") -> "AsyncIterator[Client]":
    """A client of the endpoint that keeps its replies in the store. Raises ConfigError where a key is needed."""
    from openai import AsyncOpenAI

    from miras.llm.client import Client

    key = next((os.environ[name] for name in KEYS if os.environ.get(name)), None)
    if key is None and endpoint.base_url is None:
        raise ConfigError(
            f"OpenAI's server needs a key, {' and '.join(KEYS)} are not set; set one, or name another --server"
        )
    # the client has its own patience: see Client
    async with AsyncOpenAI(api_key=key or "none", base_url=endpoint.base_url, max_retries=0) as server:
        yield Client(endpoint, store, limits, server=server)
