"""The application: its routes, and what stands in front of them."""

from pathlib import Path
from typing import Literal

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.middleware.cors import CORSMiddleware

from miras.engine.engine import Engine
from miras.serve.http import chat, exports, sessions
from miras.serve.http.gate import Gate
from miras.serve.http.refusals import add_handlers, declared
from miras.serve.http.serving import Served, Serving, run
from miras.serve.http.settings import ServerSettings
from miras.serve.http.watch import Metrics, Watch

__all__ = ["Health", "health", "make_app", "metrics"]

_PAGE = Path(__file__).parents[1] / "page"
"""The page: `index.html`, and what it loads from `/static/`."""
_PHOTOS = Path(__file__).parents[1] / "photos"
_ROUTERS = (sessions.router, chat.router, exports.router)


class Health(BaseModel):
    """Whether the server takes questions."""

    status: Literal["ok", "stopping"]
    model: str


def make_app(engine: Engine, settings: ServerSettings) -> FastAPI:
    """The server of one engine, as an ASGI application; whoever made the engine stops it.

    `app.state.serving` is what the routes share.
    """
    app = FastAPI(title="MIRAS", summary="Talk about an image, get the pixels.", docs_url=None, redoc_url=None)
    serving = Serving(engine, settings)
    counts = Metrics(serving)
    app.state.serving, app.state.counts = serving, counts
    add_handlers(app)
    told = [Depends(HTTPBearer(auto_error=False, description="Where the server asks for a token."))]
    for router in _ROUTERS:
        app.include_router(router, dependencies=told)
    app.add_api_route(
        "/healthz",
        health,
        tags=["server"],
        response_model=Health,
        responses={503: {"model": Health}, 403: declared()[403]},
    )
    app.add_api_route(
        "/metrics",
        metrics,
        tags=["server"],
        response_class=Response,
        dependencies=told,
        responses={200: {"content": {"text/plain": {}}}, **declared()},
    )
    app.mount("/static/examples", StaticFiles(directory=_PHOTOS), name="examples")
    app.mount("/static", StaticFiles(directory=_PAGE), name="static")
    app.add_api_route("/", _page, include_in_schema=False)
    app.add_middleware(Gate, serving=serving)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(Watch, metrics=counts)
    return app


async def health(served: Served) -> JSONResponse:
    """Whether the server takes questions."""
    told = Health(status="stopping" if served.stopping else "ok", model=served.settings.model)
    return JSONResponse(told.model_dump(), 503 if served.stopping else 200)


async def metrics(request: Request) -> Response:
    """Counts and times for Prometheus."""
    return Response(await run(request.app.state.counts.text), media_type=CONTENT_TYPE_LATEST)


async def _page() -> FileResponse:
    return FileResponse(_PAGE / "index.html")
