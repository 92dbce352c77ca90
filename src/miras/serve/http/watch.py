"""What is counted, logged and added to every response, and the one place where an unforeseen error ends."""

import logging
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from miras.engine.engine import Engine
from miras.serve.http.refusals import Refusal, response_of
from miras.serve.http.serving import Serving

__all__ = ["Metrics", "Watch"]

_LOG = logging.getLogger("miras.serve")
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"}
_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Metrics:
    """What Prometheus reads: requests with their times, the engine's own figures, and what the process takes."""

    def __init__(self, serving: Serving) -> None:
        self.registry = CollectorRegistry()
        every = ["method", "route"]
        self.requests = Counter("miras_http_requests", "Responses.", [*every, "status"], registry=self.registry)
        self.seconds = Histogram(
            "miras_http_request_seconds", "Until a response's end.", every, registry=self.registry, buckets=_BUCKETS
        )
        self.first = Histogram(
            "miras_http_first_byte_seconds", "Until a response began.", every, registry=self.registry, buckets=_BUCKETS
        )
        active = Gauge("miras_http_active", "Requests under way.", registry=self.registry)
        active.set_function(lambda: serving.active)
        self.registry.register(_Figures(serving.engine))
        ProcessCollector(registry=self.registry)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)


class _Figures(Collector):
    """The engine's figures at the moment they are asked for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        for name, value in sorted(self._engine.figures().items()):
            title, told = f"miras_engine_{name}", f"The engine's {name.replace('_', ' ')}."
            if name.endswith("_total"):
                yield CounterMetricFamily(title, told, value=value)
            else:
                yield GaugeMetricFamily(title, told, value=value)


class Watch:
    """An ASGI application around another: it counts and logs requests, and adds headers that browsers obey."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and watch it; an unforeseen error is logged and answered with 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, first = time.perf_counter(), 0, 0.0

        async def watched(message: Message) -> None:
            nonlocal status, first
            if message["type"] == "http.response.start":
                status, first = message["status"], time.perf_counter() - started
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/v1/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            _LOG.exception("%s %s failed", scope["method"], _route(scope))
            if not status:
                failed = Refusal(500, "internal_error", "the server failed at this request; its log says why")
                await response_of(failed)(scope, receive, watched)
        finally:
            self._count(scope, status, first, time.perf_counter() - started)

    def _count(self, scope: Scope, status: int, first: float, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = _route(scope)
        self._metrics.requests.labels(method, route, str(status or 499)).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        if status:
            self._metrics.first.labels(method, route).observe(first)
        _LOG.info("%s %s %d %.3f s", method, route, status or 499, seconds)


def _route(scope: Scope) -> str:
    """The pattern that a path fitted, so that no name of a conversation is counted or logged."""
    return getattr(scope.get("route"), "path", "other")
