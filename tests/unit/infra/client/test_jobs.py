"""Jobs through the client: pages of the merged log, downloads that stay in their folder, lists."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from infra.client import TidemillClient
from infra.client import jobs as module
from scoring.errors import Conflict, InvalidInput


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)


def client(answer: Callable[[httpx2.Request], httpx2.Response]) -> TidemillClient:
    return TidemillClient("http://service", transport=httpx2.MockTransport(answer))


def page(texts: str, read_to: int, *, more: bool = False, ended: bool = False) -> dict[str, object]:
    lines = [{"at": "x", "source": "s", "text": text} for text in texts]
    return {"lines": lines, "read_to": {"s": read_to}, "more": more, "ended": ended}


@pytest.mark.parametrize(("follow", "told"), [(False, "abc"), (True, "abcd")])
def test_the_merged_log_goes_on_where_the_page_before_ended(follow: bool, told: str) -> None:
    pages = [page("ab", 2, more=True), page("c", 3), page("", 3), page("d", 4, ended=True)]
    asked: list[object] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(json.loads(request.content)["read_to"])
        return httpx2.Response(200, json=pages[len(asked) - 1])

    lines = client(answer).jobs.log_lines("j", follow=follow)
    assert "".join(line["text"] for line in lines) == told
    assert asked[:3] == [{}, {"s": 2}, {"s": 3}][: 3 if follow else 2]


def test_lists_name_only_what_was_asked_for() -> None:
    asked: list[dict[str, str]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(dict(request.url.params))
        return httpx2.Response(200, json=[])

    jobs = client(answer).jobs
    jobs.list()
    jobs.list(parent_job_name="p", archived_only=True, max_results=3)
    assert asked == [{}, {"parent_job_name": "p", "archived_only": "true", "max_results": "3"}]


def tar(*names: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))
    return content.getvalue()


def test_a_download_is_unpacked_and_stays_in_its_folder(tmp_path: Path) -> None:
    jobs = client(lambda request: httpx2.Response(200, content=tar("a/b.csv"))).jobs
    assert jobs.download_output("j", tmp_path / "out") == tmp_path / "out"
    assert (tmp_path / "out" / "a" / "b.csv").read_text() == "x"
    jobs = client(lambda request: httpx2.Response(200, content=tar("../evil"))).jobs
    with pytest.raises(InvalidInput, match="leads out of its folder"):
        jobs.download_artifacts("j", tmp_path / "out")
    assert not (tmp_path / "evil").exists()


def test_a_refused_download_makes_no_folder(tmp_path: Path) -> None:
    error = {"error": {"code": "Conflict", "message": "job j is Running", "target": None}}
    with pytest.raises(Conflict, match="is Running"):
        client(lambda request: httpx2.Response(409, json=error)).jobs.download_output("j", tmp_path / "out")
    assert not (tmp_path / "out").exists()
