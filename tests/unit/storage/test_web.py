"""Inputs in the web, from a server on this machine that speaks as a public Blob container does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest

from scoring.errors import InvalidInput, TryAgain
from scoring.job import JobInputType
from storage import web
from storage.registry import Registry
from storage.web import WebInputs

FOLDER, FILE = JobInputType.URI_FOLDER, JobInputType.URI_FILE


class Container(ThreadingHTTPServer):
    """`blobs` below the container `data`, listed two a page; `/plain` is a page of text, `/broken` ends too early."""

    def __init__(self, blobs: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.blobs = blobs
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Container

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.server.asked.append(self.path)
        if query.get("comp") == "list" and parts.path == "/data":
            names = [name for name in sorted(self.server.blobs) if name.startswith(query.get("prefix", ""))]
            begin = int(query.get("marker", 0) or 0)
            page = "".join(f"<Blob><Name>{escape(name)}</Name></Blob>" for name in names[begin : begin + 2])
            marker = begin + 2 if begin + 2 < len(names) else ""
            self._answer(
                f"<EnumerationResults><Blobs>{page}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>".encode()
            )
        elif parts.path.startswith("/data/") and (name := web.unquote(parts.path[6:])) in self.server.blobs:
            self._answer(self.server.blobs[name])
        elif parts.path == "/plain":
            self._answer(b"<html>hello")
        elif parts.path == "/busy":
            self.send_error(503)
        elif parts.path == "/broken":
            self._answer(b"half", length=100)
        else:
            self.send_error(404)

    def _answer(self, body: bytes, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("content-length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def running() -> Iterator[Container]:
    with Container({}) as container:
        thread = threading.Thread(target=container.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield container
        container.shutdown()
        thread.join(10)


@pytest.fixture
def container(running: Container) -> Container:
    running.blobs = {f"mnist/sample/{n}.png": str(n).encode() for n in range(5)}
    running.blobs |= {"mnist/sample/sub dir/ü.png": b"u", "mnist/other.csv": b"a,b\n", "mnist/sample/sub dir/": b""}
    running.asked.clear()
    return running


@pytest.fixture
def inputs(tmp_path: Path) -> WebInputs:
    return WebInputs(Registry(tmp_path / "registry"), tmp_path / "blobstore")


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_of_a_public_container_is_copied(inputs: WebInputs, container: Container, slash: str) -> None:
    found = inputs.fetch(f"{container.url}/data/mnist/sample{slash}", FOLDER)
    assert found.name == "sample"
    files = {path.relative_to(found).as_posix(): path.read_bytes() for path in found.rglob("*") if path.is_file()}
    assert files == {**{f"{n}.png": str(n).encode() for n in range(5)}, "sub dir/ü.png": b"u"}


def test_the_same_content_is_the_same_path_and_other_content_another(inputs: WebInputs, container: Container) -> None:
    url = f"{container.url}/data/mnist/other.csv?sv=1&sig=SECRET"
    first = inputs.fetch(url, FILE)
    assert (first.name, first.read_bytes()) == ("other.csv", b"a,b\n")
    assert inputs.fetch(url, FILE) == first
    container.blobs["mnist/other.csv"] = b"changed"
    assert inputs.fetch(url, FILE).read_bytes() == b"changed"
    assert first.read_bytes() == b"a,b\n"


def test_a_signature_goes_with_every_request_and_into_no_message(inputs: WebInputs, container: Container) -> None:
    inputs.fetch(f"{container.url}/data/mnist/sample?sig=SECRET", FOLDER)
    assert all("sig=SECRET" in path for path in container.asked)
    with pytest.raises(InvalidInput) as refused:
        inputs.fetch(f"{container.url}/data/absent.csv?sig=SECRET", FILE)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "kind", "error", "said"),
    [
        ("/data/absent.csv", FILE, InvalidInput, "input.path: .*answered 404"),
        ("/data/absent", FOLDER, InvalidInput, "holds no files; for a single file the input's type is uri_file"),
        ("/plain", FOLDER, InvalidInput, "no folder that can be listed"),
        ("", FILE, InvalidInput, "names no file or folder"),
        ("/busy", FILE, TryAgain, "answered 503"),
        ("/broken", FILE, TryAgain, "broke off"),
    ],
)
def test_what_cannot_be_fetched(
    inputs: WebInputs, container: Container, tmp_path: Path, path: str, kind: JobInputType, error: type, said: str
) -> None:
    with pytest.raises(error, match=said):
        inputs.fetch(container.url + path, kind)
    assert list((tmp_path / "registry" / "tmp").glob("*")) == []
    assert not (tmp_path / "blobstore").exists()


def test_a_name_that_leads_out_is_refused(inputs: WebInputs, container: Container, tmp_path: Path) -> None:
    container.blobs["mnist/sample/../../../out"] = b"x"
    with pytest.raises(InvalidInput, match="leads out of it"):
        inputs.fetch(f"{container.url}/data/mnist/sample", FOLDER)
    assert not list(tmp_path.rglob("out"))


def test_files_and_bytes_are_limited(inputs: WebInputs, container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "BYTES_MAX", 3)
    with pytest.raises(InvalidInput, match="larger than 3 bytes"):
        inputs.fetch(f"{container.url}/data/mnist/sample", FOLDER)
    monkeypatch.setattr(web, "FILES_MAX", 3)
    with pytest.raises(InvalidInput, match="more than 3 files"):
        inputs.fetch(f"{container.url}/data/mnist/sample", FOLDER)


def test_nobody_there(inputs: WebInputs) -> None:
    with pytest.raises(TryAgain, match=r"127.0.0.1:9/x does not answer"):
        inputs.fetch("http://127.0.0.1:9/x", FILE)
