from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from infra.client import TidemillClient, connection
from infra.client.address import keep_token, service_url
from infra.client.connection import NotAllowed
from scoring.errors import Conflict, InvalidInput, NotFound, ScoringError, TryAgain

Answer = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.time, "sleep", lambda seconds: None)


def client(answer: Answer) -> TidemillClient:
    return TidemillClient("http://service", transport=httpx2.MockTransport(answer))


def failing(status: int, code: str, target: str | None = None) -> Answer:
    message = f"{target}: what is wrong" if target else "what is wrong"
    body = {"error": {"code": code, "message": message, "target": target}}
    return lambda request: httpx2.Response(status, json=body)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "InvalidInput", InvalidInput),
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (503, "TryAgain", TryAgain),
    ],
)
def test_errors_are_the_same_classes_as_in_the_service(status: int, code: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="what is wrong"):
        client(failing(status, code)).jobs.show("x")


def test_a_refused_field_keeps_its_place() -> None:
    with pytest.raises(InvalidInput) as caught:
        client(failing(400, "InvalidInput", "settings.timeout")).jobs.show("x")
    assert caught.value.place == "settings.timeout"
    assert str(caught.value) == "settings.timeout: what is wrong"


@pytest.mark.parametrize("text", ["<html>", "[]", '{"error": "x"}', ""])
def test_an_answer_of_something_else_is_an_error_too(text: str) -> None:
    with pytest.raises(ScoringError, match="the service answered 500"):
        client(lambda request: httpx2.Response(500, text=text)).jobs.show("x")
    with pytest.raises(ScoringError, match="not an object"):
        client(lambda request: httpx2.Response(200, json=[])).jobs.show("x")


def test_a_broken_connection_is_tried_again_with_the_same_key() -> None:
    keys = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        keys.append(request.headers["repeatability_request-id"])
        if len(keys) < 3:
            raise httpx2.ReadError("connection reset", request=request)
        return httpx2.Response(201, json={"name": "job"})

    assert client(answer).batch_endpoints.invoke("e", {})["name"] == "job"
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_two_invocations_have_two_keys() -> None:
    keys = set()

    def answer(request: httpx2.Request) -> httpx2.Response:
        keys.add(request.headers["repeatability_request-id"])
        return httpx2.Response(201, json={"name": "job"})

    one = client(answer)
    one.batch_endpoints.invoke("e", {})
    one.batch_endpoints.invoke("e", {})
    assert len(keys) == 2


def test_a_service_that_stays_away_is_said_after_a_few_tries() -> None:
    tries = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        tries.append(1)
        raise httpx2.ConnectError("connection refused", request=request)

    with pytest.raises(TryAgain, match="the service at http://service does not answer: connection refused"):
        client(answer).compute.list()
    assert len(tries) == 5


def test_health_is_asked_once() -> None:
    tries = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        tries.append(1)
        return httpx2.Response(503, json={"status": "degraded", "database": "away"})

    with pytest.raises(TryAgain, match="away"):
        client(answer).health()
    assert len(tries) == 1


def test_names_are_one_segment_of_the_path() -> None:
    paths = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        paths.append(request.url.raw_path.decode())
        return httpx2.Response(200, json={})

    client(answer).jobs.show("../compute?x=1#y")
    client(answer).batch_endpoints.show("Pump")
    assert paths == ["/jobs/..%2Fcompute%3Fx%3D1%23y", "/batch-endpoints/pump"]


def test_a_job_is_streamed_until_its_end_through_a_restart() -> None:
    states = [("Queued", 0), None, ("Running", 1), ("Running", 1), ("Running", 2), ("Completed", 3)]

    def answer(request: httpx2.Request) -> httpx2.Response:
        state = states.pop(0)
        if state is None:
            raise httpx2.ConnectError("restarting", request=request)
        return httpx2.Response(200, json={"name": "j", "status": state[0], "n": state[1]})

    seen = [(job["status"], job["n"]) for job in client(answer).jobs.stream("j")]
    assert seen == [("Queued", 0), ("Running", 1), ("Running", 2), ("Completed", 3)]


def test_a_streams_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    running = client(lambda request: httpx2.Response(200, json={"name": "j", "status": "Running"}))
    with pytest.raises(TryAgain, match="waited 0 s for the end of job j, which is Running"):
        list(running.jobs.stream("j", limit_seconds=0))


def test_the_services_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TIDEMILL_API_URL", raising=False)
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path))
    with pytest.raises(InvalidInput, match="no stack is known in"):
        service_url()
    (tmp_path / "stack.json").write_text("{")
    with pytest.raises(InvalidInput, match="no stack is known in"):
        service_url()
    (tmp_path / "stack.json").write_text(json.dumps({"api_url": "http://a"}))
    assert service_url() == "http://a"
    monkeypatch.setenv("TIDEMILL_API_URL", "http://b")
    assert service_url() == "http://b"


def test_the_token_goes_with_every_request_and_to_its_own_service_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers.get("authorization"))
        return httpx2.Response(200, json=[])

    def ask(url: str = "http://service", **options: str) -> None:
        TidemillClient(url, transport=httpx2.MockTransport(answer), **options).jobs.list()

    monkeypatch.delenv("TIDEMILL_TOKEN", raising=False)
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path))
    monkeypatch.setenv("TIDEMILL_API_URL", "http://service/")
    ask()
    assert keep_token("from-file").stat().st_mode & 0o777 == 0o600
    ask()
    ask("http://elsewhere")
    monkeypatch.setenv("TIDEMILL_TOKEN", "from-environment")
    ask("http://elsewhere")
    ask(token="given")
    assert seen == [None, "Bearer from-file", None, "Bearer from-environment", "Bearer given"]


def test_a_token_that_others_can_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMILL_TOKEN", raising=False)
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path))
    monkeypatch.setenv("TIDEMILL_API_URL", "http://service")
    keep_token("x").chmod(0o644)
    with pytest.raises(InvalidInput, match="others can read it; run: chmod 600"):
        TidemillClient("http://service")


def test_a_service_that_wants_a_token_says_where_one_is_looked_for() -> None:
    with pytest.raises(NotAllowed, match=r"what is wrong \(TIDEMILL_TOKEN"):
        client(failing(401, "Unauthorized", "authorization")).jobs.show("x")


def test_each_noun_asks_at_its_address() -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(f"{request.method} {request.url.raw_path.decode()}")
        is_list = request.method == "GET" and request.url.path.endswith(("/jobs", "/tokens", "/deployments"))
        return httpx2.Response(200, json=[] if is_list else {"seen": True})

    made = client(answer)
    made.batch_deployments.update("Digits", "torch", {"name": "torch"}, skip_script_validation=True)
    made.batch_deployments.list_jobs("Digits", "torch", max_results=3)
    made.batch_deployments.list("Digits")
    made.batch_endpoints.update("Digits", {"name": "digits"})
    made.tokens.create("scripts")
    made.tokens.list()
    made.tokens.revoke("a/b")
    assert asked == [
        "PUT /batch-endpoints/digits/deployments/torch?skip_script_validation=true",
        "GET /batch-endpoints/digits/jobs?deployment_name=torch&max_results=3",
        "GET /batch-endpoints/digits/deployments",
        "PUT /batch-endpoints/digits",
        "POST /tokens",
        "GET /tokens",
        "DELETE /tokens/a%2Fb",
    ]
