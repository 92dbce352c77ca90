"""Runs an application until it is told to stop, and lets what runs come to its end."""

import logging
import signal
import socket
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from miras.errors import ConfigError
from miras.serve.http.serving import Serving

__all__ = ["bound", "serve_until_stopped"]

_LOG = logging.getLogger("miras.serve")


class _Server(uvicorn.Server):
    """A server that, told to stop, refuses what is new and waits for what runs; told again, it ends at once."""

    def __init__(self, config: uvicorn.Config, serving: Serving, grace: float) -> None:
        super().__init__(config)
        self.serving, self.grace = serving, grace
        self.told_by: int | None = None
        self._until = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.told_by is not None:
            self.should_exit = self.force_exit = True
        self.told_by = sig
        self._until = time.monotonic() + self.grace
        self.serving.stopping = True

    async def on_tick(self, counter: int) -> bool:
        if self.told_by is not None and (not self.serving.active or time.monotonic() > self._until):
            self.should_exit = True
        return await super().on_tick(counter)


def bound(host: str, port: int) -> socket.socket:
    """A socket at an address, not yet listening; port 0 is any that is free. Raises ConfigError where it is taken."""
    made: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        if made is not None:
            made.close()
        raise ConfigError(f"{host}:{port} cannot be used ({error}); choose another --host or --port") from error
    return made


def serve_until_stopped(app: FastAPI, at: socket.socket, *, grace: float, proxy: str | None = None) -> None:
    """Serve until SIGTERM, or Ctrl-C, after which it raises KeyboardInterrupt.

    Requests under way have `grace` seconds to end, others are refused. `proxy` is an address whose word on who the
    client is counts. The engine is left to its owner.
    """
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=proxy is not None,
        forwarded_allow_ips=proxy,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config, app.state.serving, grace)
    server.run(sockets=[at])
    _LOG.info("stopped taking requests")
    if server.told_by == signal.SIGINT:
        raise KeyboardInterrupt
