"""Requests made by rule from the server's own OpenAPI schema: none ends in a 500, every response is as described."""

from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.model.conftest import new_picture

from miras.engine.engine import Engine
from miras.errors import SessionGone
from miras.model.miras import Miras
from miras.serve.http.app import make_app
from miras.serve.http.settings import ServerSettings

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 40


@pytest.fixture(scope="module")
def engine(tiny: Miras, tmp_path_factory: pytest.TempPathFactory) -> Any:
    engine = Engine(tiny, tmp_path_factory.mktemp("talks"))
    yield engine
    engine.stop()


class Asker:
    """Sends what an operation's strategy gives, half of it to a conversation that is there, and checks the response."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.name, self.sent = engine, "", 0
        self.met: Counter[str] = Counter()

    def ask_all(self, operation: Any, mode: GenerationMode) -> None:
        """EXAMPLES requests of one operation."""
        quiet = list(HealthCheck)

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=quiet, deadline=None)
        def one(case: Any) -> None:
            self.ask(case)

        one()

    def ask(self, case: Any) -> None:
        """One request; long answers are asked to be short."""
        self.sent += 1
        if self.sent % 2 and "name" in (case.path_parameters or {}):
            case.path_parameters["name"] = self.known()
        if isinstance(case.body, dict) and isinstance(case.body.get("limit"), int):
            case.body["limit"] = min(case.body["limit"], 8)
        response = case.call()
        self.met[f"{case.method} {case.path} {response.status_code}"] += 1
        case.validate_response(response, checks=CHECKS)

    def known(self) -> str:
        """The name of a conversation with a turn."""
        with suppress(SessionGone):
            if self.engine.view(self.name).replies:
                return self.name
        self.name = self.engine.open(new_picture(20, 30))
        self.engine.ask(self.name, "Mark it.", limit=8).reply()
        return self.name


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_breaks_the_server_or_its_schema(engine: Engine, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", make_app(engine, ServerSettings(per_minute=0)))
    asker = Asker(engine)
    for result in schema.get_all_operations():
        with suppress(Unsatisfiable):  # an operation that takes nothing has no wrong request
            asker.ask_all(result.ok(), mode)  # type: ignore[union-attr]
    assert asker.sent > 5 * EXAMPLES
    if mode is GenerationMode.POSITIVE:
        assert {"200", "201", "204", "404"} <= {line.split()[-1] for line in asker.met}
