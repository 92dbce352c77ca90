"""The route of downloads: a turn of a conversation as a file."""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from miras.serve.exports import FORMS, Export, export
from miras.serve.http.bodies import SessionView
from miras.serve.http.refusals import declared
from miras.serve.http.serving import Served, run
from miras.serve.http.sessions import Name

__all__ = ["download", "router"]

router = APIRouter(prefix="/v1/sessions", tags=["exports"])

_Form = StrEnum("_Form", {name: name for name in FORMS})  # type: ignore[misc]  # the forms themselves, for OpenAPI
_Number = Annotated[int | None, Query(ge=0, le=10_000)]


@router.get(
    "/{name}/exports/{form}",
    response_class=Response,
    responses={
        200: {"content": {media: {} for media, _, _ in FORMS.values()}, "description": "The file."},
        **declared(404, 422),
    },
)
async def download(served: Served, name: Name, form: _Form, turn: _Number = None, target: _Number = None) -> Response:
    """A turn, by default the last that marks something, with one target or all; a person's corrections count."""

    def made() -> Export:
        view = SessionView.of(served.engine.view(name), served.settings.model).model_dump()
        return export(form.value, view, served.engine.image(name), turn=turn, target=target)

    file = await run(made)
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"', "Cache-Control": "no-store"}
    return Response(file.content, media_type=file.media, headers=headers)
