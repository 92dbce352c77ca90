"""What every request passes before a route sees it: who asks, how often, how much, and whether there is room."""

import asyncio
import ipaddress
import math
import secrets
import time
from collections import OrderedDict
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from miras.serve.http.refusals import Refusal, response_of
from miras.serve.http.serving import Serving
from miras.serve.http.settings import ServerSettings

__all__ = ["Gate", "Rates"]

_OPEN = ("/healthz", "/openapi.json", "/")
"""Paths that need no token, besides those of the page's files: nothing there is anybody's."""
_CLIENTS = 10_000
"""Clients whose rates are remembered."""


class Gate:
    """An ASGI application in front of another."""

    def __init__(self, app: ASGIApp, serving: Serving) -> None:
        self._app, self._serving, self._settings = app, serving, serving.settings
        self._rates = Rates(self._settings.per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except Refusal as refusal:
            await response_of(refusal)(scope, receive, send)
            return
        counted = scope["path"].startswith("/v1/")
        self._serving.active += counted
        try:
            await self._app(scope, _measured(receive, self._settings), send)
        finally:
            self._serving.active -= counted

    def _check(self, scope: Scope) -> None:
        """Raise Refusal for what is not let in."""
        headers, path, settings = Headers(scope=scope), scope["path"], self._settings
        if settings.names and _hostname(headers.get("host", "")) not in settings.names:
            message = f"this server is called {' or '.join(settings.names)}; use one of these names in the address"
            raise Refusal(403, "wrong_host", message)
        if path != "/healthz" and (wait := self._rates.take(_client(scope))) > 0:
            message = f"a client may send {settings.per_minute} requests a minute; try again in {wait} s"
            raise Refusal(429, "too_many_requests", message, headers={"Retry-After": str(wait)})
        if settings.token is None:
            _check_origin(headers, scope["method"], settings)
        elif not (path in _OPEN or path.startswith("/static/")):
            _check_token(headers, settings.token)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > settings.body_bytes:
            raise Refusal(413, "body_too_large", _too_large(settings))
        if path.startswith("/v1/"):
            self._check_room()

    def _check_room(self) -> None:
        if self._serving.stopping:
            message = "the server is stopping and takes nothing new; try again in a minute"
            raise Refusal(503, "stopping", message, headers={"Retry-After": "30", "Connection": "close"})
        if self._serving.active >= self._settings.active:
            message = f"{self._settings.active} requests are under way, no more fit; try again in some seconds"
            raise Refusal(503, "busy", message, headers={"Retry-After": "5"})


class Rates:
    """A bucket of requests for each client, that fills up again evenly over a minute."""

    def __init__(self, per_minute: int) -> None:
        self._most = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, now: float | None = None) -> int:
        """Take one request; 0, or the whole seconds after which there is one again. `now` is in seconds."""
        if not self._most:
            return 0
        now = time.monotonic() if now is None else now
        left, then = self._buckets.pop(client, (float(self._most), now))
        left = min(self._most, left + (now - then) * self._most / 60)
        wait = 0 if left >= 1 else math.ceil((1 - left) * 60 / self._most)
        self._buckets[client] = (left if wait else left - 1, now)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        return wait


def _check_token(headers: Headers, token: str) -> None:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secrets.compare_digest(given.strip().encode(), token.encode()):
        message = "this server needs a token: send the header `Authorization: Bearer TOKEN`"
        raise Refusal(401, "wrong_token", message, headers={"WWW-Authenticate": "Bearer"})


def _check_origin(headers: Headers, method: str, settings: ServerSettings) -> None:
    """Without a token, another web page could have its visitors send what they do not know of."""
    origin = headers.get("origin")
    if origin is None or method in ("GET", "HEAD", "OPTIONS") or {"*", origin} & set(settings.origins):
        return
    if urlsplit(origin).netloc != headers.get("host"):
        raise Refusal(403, "wrong_origin", "pages of other origins may not use this server; see --allow-origin")


def _measured(receive: Receive, settings: ServerSettings) -> Receive:
    """Count the bytes of the body as they come. Raises HTTPException where it is too long or stops half-way."""
    total, more = 0, True

    async def measured() -> Message:
        nonlocal total, more
        if not more:
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), settings.body_seconds)
        except TimeoutError as error:
            raise HTTPException(408, f"nothing came for {settings.body_seconds:g} s; send the whole body") from error
        total += len(message.get("body", b""))
        more = message.get("more_body", False)
        if total > settings.body_bytes:
            raise HTTPException(413, _too_large(settings))
        return message

    return measured


def _too_large(settings: ServerSettings) -> str:
    return f"a request's body has at most {settings.body_bytes:,} bytes; send a smaller image"


def _hostname(host: str) -> str:
    name, _, port = host.lower().rpartition(":")
    return name if name and port.isdecimal() else host.lower()


def _client(scope: Scope) -> str:
    """The client's address; of IPv6 the network, since one client has all of it."""
    host: str = (scope.get("client") or ("unknown",))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ipaddress.ip_network(f"{host}/64", strict=False))
