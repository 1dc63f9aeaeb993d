"""Content of clients elsewhere: kept under its hash, refused as a whole where it is not what it says."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from storage.archive import packed
from storage.content import code_content, hash_of, named_content
from tests.unit.infra.api.conftest import Service

TAR = {"content-type": "application/x-tar"}


def put(service: Service, kind: str, content_hash: str, body: bytes, headers: dict[str, str] = TAR) -> Any:
    return service.http.put(f"/uploads/{kind}/{content_hash}", content=body, headers=headers)


def left_behind(service: Service) -> list[Path]:
    return list((service.model.parent / "registry" / "tmp").iterdir())


@pytest.mark.parametrize("kind", ["models", "data", "code", "builds"])
def test_what_is_sent_is_found_and_made_something_of(service: Service, kind: str) -> None:
    source = service.model if kind in {"models", "data"} else service.code
    found = (named_content if kind in {"models", "data"} else code_content)(source, "path")
    content_hash = hash_of(found, "path")
    assert service.http.get(f"/uploads/{kind}/{content_hash}").status_code == 404
    sent = put(service, kind, content_hash, b"".join(packed(found, "path")))
    assert sent.status_code == 200, sent.text
    path = Path(sent.json()["path"])
    assert service.http.get(f"/uploads/{kind}/{content_hash}").json() == {"path": str(path)}
    assert path.name == (source.name if kind in {"models", "data"} else content_hash)
    assert left_behind(service) == []
    if kind == "models":
        made = service.http.post("/models", json={"name": "net", "path": str(path)}).json()
        assert (made["path"], made["content_hash"]) == (str(path.parent), content_hash)
    elif kind == "data":
        made = service.http.post("/data", json={"name": "d", "path": str(path)}).json()
        assert made["path"].endswith(f"/LocalUpload/{content_hash}/{source.name}")
    elif kind == "builds":
        document = {"name": "e", "build": {"path": str(path), "dockerfile_path": "score.py"}}
        assert service.http.post("/environments", json=document).json()["build"]["path"] == str(path)


def test_content_of_another_hash_is_refused(service: Service) -> None:
    body = b"".join(packed(named_content(service.model, "path"), "path"))
    answer = put(service, "models", "0" * 64, body)
    assert answer.status_code == 400
    assert "send it again" in answer.json()["error"]["message"]
    assert service.http.get(f"/uploads/models/{'0' * 64}").status_code == 404
    assert left_behind(service) == []


def test_what_is_no_archive_is_refused(service: Service) -> None:
    link = io.BytesIO()
    with tarfile.open(fileobj=link, mode="w") as tar:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    two = io.BytesIO()
    with tarfile.open(fileobj=two, mode="w") as tar:
        for name in ("a", "b"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    for body, said in ((b"x" * 2000, "no tar"), (link.getvalue(), "no regular file"), (two.getvalue(), "wanted one")):
        answer = put(service, "models", "0" * 64, body)
        assert answer.status_code == 400
        assert said in answer.json()["error"]["message"]
    assert put(service, "models", "0" * 64, b"", {"content-type": "text/plain"}).status_code == 400
    assert put(service, "secrets", "0" * 64, b"").status_code == 400
    assert left_behind(service) == []


def test_an_address_does_not_lead_out(service: Service) -> None:
    for name in ("..", "%2e%2e", "%2e%2e%2ftmp", "..%2f..%2fmodel", "", "A" * 64):
        for kind in ("models", "data"):
            assert service.http.get(f"/uploads/{kind}/{name}").status_code in {404, 405}, name


def test_the_same_file_is_seen_and_another_is_not(service: Service) -> None:
    file = service.model / "weights"
    state = file.stat()
    same = {"path": str(file), "inode": state.st_ino, "size": state.st_size, "mtime_ns": state.st_mtime_ns}
    for body, seen in (
        (same, True),
        (same | {"mtime_ns": 1}, False),
        (same | {"inode": state.st_ino + 1}, False),
        (same | {"path": "/nowhere"}, False),
        (same | {"path": "a\0b"}, False),
    ):
        assert service.http.post("/uploads/seen", json=body).json() == {"seen": seen}
