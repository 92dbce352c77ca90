"""Who is let in, how often, with how much."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from miras.serve.http.gate import Rates

Serve = Callable[..., TestClient]
TOKEN = "0123456789abcdef"
DEPLOY = Path(__file__).resolve().parents[3] / "docs" / "deploy.md"


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (None, 401),
        (TOKEN, 401),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer ", 401),
        (f"Basic {TOKEN}", 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
    ],
)
def test_a_token_opens(serve: Serve, given: str | None, status: int) -> None:
    client = serve(token=TOKEN)
    headers = {} if given is None else {"Authorization": given}
    for path in ("/v1/models", "/metrics"):
        assert client.get(path, headers=headers).status_code == status
    assert client.get("/v1/nothing").status_code == 401
    assert client.get("/healthz").status_code == 200


def test_a_refused_token_says_how_to_send_one(serve: Serve) -> None:
    response = serve(token=TOKEN).get("/v1/models")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["error"]["type"] == "authentication_error"
    assert "Authorization: Bearer" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:8000", 200), ("evil.example", 403), ("evil.example:80", 403)],
)
def test_a_server_without_a_token_knows_its_names(serve: Serve, host: str, status: int) -> None:
    client = serve(names=("localhost", "127.0.0.1", "[::1]"))
    assert client.get("/v1/models", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://testserver", 201), ("https://friend.example", 201), ("https://evil.example", 403), ("null", 403)],
)
def test_pages_of_other_origins_open_nothing(serve: Serve, png: bytes, origin: str, status: int) -> None:
    client = serve(origins=("https://friend.example",))
    response = client.post("/v1/sessions", files={"image": png}, headers={"Origin": origin})
    assert response.status_code == status
    allowed = response.headers.get("access-control-allow-origin")
    assert allowed == (origin if "friend" in origin else None)


def test_a_page_that_is_allowed_may_bring_a_token(serve: Serve) -> None:
    asked = {"Origin": "https://friend.example", "Access-Control-Request-Method": "PUT"}
    client = serve(token=TOKEN, origins=("https://friend.example",))
    may = client.options("/v1/sessions/x/turns/0", headers={**asked, "Access-Control-Request-Headers": "authorization"})
    assert (may.status_code, may.headers["access-control-allow-origin"]) == (200, "https://friend.example")
    assert client.options("/v1/models", headers={**asked, "Origin": "https://evil.example"}).status_code == 400
    assert client.get("/v1/models", headers={"Origin": "https://friend.example"}).status_code == 401


def test_browsers_are_told_what_a_page_may_do(client: TestClient) -> None:
    for path in ("/healthz", "/v1/nothing"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert "access-control-allow-origin" not in client.get("/healthz", headers={"Origin": "https://a.example"}).headers


def test_too_many_requests_wait(serve: Serve) -> None:
    client = serve(per_minute=2)
    assert [client.get("/v1/models").status_code for _ in range(3)] == [200, 200, 429]
    refused = client.get("/v1/models")
    assert 1 <= int(refused.headers["Retry-After"]) <= 30
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert client.get("/healthz").status_code == 200


def test_a_rate_fills_up_again_for_each_client() -> None:
    rates = Rates(60)
    assert [rates.take("a", now=0.0) for _ in range(61)] == [0] * 60 + [1]
    assert rates.take("b", now=0.0) == 0
    assert (rates.take("a", now=1.5), rates.take("a", now=1.5)) == (0, 1)
    assert Rates(0).take("a") == 0


def test_a_body_may_be_so_long(serve: Serve, png: bytes) -> None:
    client = serve(body_bytes=1000)
    told = client.post("/v1/sessions", files={"image": bytes(2000)})
    assert (told.status_code, told.json()["error"]["code"]) == (413, "body_too_large")

    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(100)

    headers = {"Content-Type": "application/json"}
    untold = client.post("/v1/chat/completions", content=pieces(), headers=headers)
    assert "content-length" not in untold.request.headers
    assert (untold.status_code, untold.json()["error"]["code"]) == (413, "body_too_large")


def test_images_are_measured_before_they_are_decoded(serve: Serve, png: bytes) -> None:
    client = serve(pixels=40 * 24 - 1)
    response = client.post("/v1/sessions", files={"image": png})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "image_too_large")
    assert serve(pixels=40 * 24).post("/v1/sessions", files={"image": png}).status_code == 201


@pytest.mark.parametrize(
    ("question", "code"),
    [("a " * 5, "question_too_long"), ("a" * 65, "question_too_long"), (" \n", "empty_question")],
)
def test_questions_are_some_words(serve: Serve, opened: str, question: str, code: str) -> None:
    for stream in (False, True):
        body = {"question": question, "stream": stream}
        response = serve(words=4).post(f"/v1/sessions/{opened}/turns", json=body)
        assert (response.status_code, response.json()["error"]["code"]) == (422, code)


@pytest.mark.parametrize(
    "content", ['{"question": "\\ud800"}', "{", "[]", '{"question": 3}', '{"question": "a", "x": 1}']
)
def test_what_is_no_question_is_told(client: TestClient, opened: str, content: str) -> None:
    headers = {"Content-Type": "application/json"}
    response = client.post(f"/v1/sessions/{opened}/turns", content=content, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_request")


def test_a_conversation_has_so_many_turns(serve: Serve, opened: str) -> None:
    response = serve(turns=0).post(f"/v1/sessions/{opened}/turns", json={"question": "What?"})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "too_many_turns")


@pytest.mark.parametrize("name", ["..%2F..%2Fsecret", "a", "x" * 65, "a" * 24 + ".", "%00" * 24])
def test_names_reach_no_files(client: TestClient, name: str) -> None:
    assert client.get(f"/v1/sessions/{name}").status_code in (404, 422)


def test_a_stopping_server_takes_nothing_new(serve: Serve) -> None:
    client = serve()
    client.app.state.serving.stopping = True  # type: ignore[attr-defined]
    refused = client.get("/v1/models")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
    health = client.get("/healthz")
    assert (health.status_code, health.json()["status"]) == (503, "stopping")


def test_a_full_server_says_so(serve: Serve) -> None:
    refused = serve(active=0).get("/v1/models")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")


def test_unforeseen_errors_tell_nothing(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("the secret")

    monkeypatch.setattr(client.app.state.serving.engine, "view", fail)  # type: ignore[attr-defined]
    response = client.get(f"/v1/sessions/{'a' * 24}")
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in response.text


def test_prometheus_counts_what_was_answered(client: TestClient, opened: str) -> None:
    client.get(f"/v1/sessions/{opened}")
    client.get("/v1/sessions/no")
    text = client.get("/metrics").text
    assert 'miras_http_requests_total{method="GET",route="/v1/sessions/{name}",status="200"} 1.0' in text
    assert 'miras_http_requests_total{method="GET",route="/v1/sessions/{name}",status="422"} 1.0' in text
    assert "miras_engine_sessions " in text
    assert opened not in text


def test_alerts_of_the_docs_watch_what_is_told(client: TestClient, opened: str) -> None:
    client.get(f"/v1/sessions/{opened}")
    told = {line.partition(" ")[0].partition("{")[0] for line in client.get("/metrics").text.splitlines()}
    alerts = set(re.findall(r"\b(?:miras|process)_\w+", DEPLOY.read_text(encoding="utf-8").partition("| alert |")[2]))
    assert {"process_resident_memory_bytes", "miras_http_requests_total"} <= alerts <= told
