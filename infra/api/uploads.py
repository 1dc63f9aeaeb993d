"""Content of clients on other machines: sent once, addressed by its hash, and named by what is created from it.

A client first asks whether the service sees the very file that it sees (`seen`); only what it does not see is sent.
"""

from __future__ import annotations

import os
import shutil
from enum import StrEnum
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from infra.api.errors import answers
from infra.api.parts import ServiceParts
from scoring.datastore import DEFAULT_DATASTORE
from scoring.errors import InvalidInput, NotFound
from storage.archive import UPLOAD_BYTES_MAX, unpack
from storage.registry import DATA_FOLDER, MODELS, no_room, only_entry


class UploadKind(StrEnum):
    """What the content is for: where it lies, and whether it keeps its base name."""

    MODELS = "models"
    CODE = "code"
    BUILDS = "builds"
    DATA = "data"


class SeenFile(BaseModel):
    """A file or folder as the client's machine knows it."""

    path: str
    inode: int
    size: int
    mtime_ns: int


class Seen(BaseModel):
    seen: bool


class Uploaded(BaseModel):
    """`path` is the service's; a document that is created next names it in place of the client's."""

    path: str


def router(parts: ServiceParts) -> APIRouter:
    routes = APIRouter(prefix="/uploads", tags=["uploads"])

    @routes.post("/seen", responses=answers(400))
    def seen(file: SeenFile) -> Seen:
        """Whether the service finds the very same file or folder under this path."""
        try:
            found = os.stat(file.path)
        except (OSError, ValueError):
            return Seen(seen=False)
        known = (found.st_ino, found.st_size, found.st_mtime_ns)
        return Seen(seen=Path(file.path).is_absolute() and known == (file.inode, file.size, file.mtime_ns))

    @routes.get("/{kind}/{content_hash}", responses=answers(404))
    def find_upload(kind: UploadKind, content_hash: str) -> Uploaded:
        """Where content with this hash lies already."""
        found = _find(parts, kind, content_hash)
        if found is None:
            raise NotFound(f"there is no content with the hash {content_hash[:64]} among {kind}")
        return Uploaded(path=str(found))

    @routes.put(
        "/{kind}/{content_hash}",
        responses=answers(400, 409),
        openapi_extra={"requestBody": {"required": True, "content": {"application/x-tar": {}}}},
    )
    async def upload(request: Request, kind: UploadKind, content_hash: str) -> Uploaded:
        """A tar of regular files. For `models` and `data` it holds one file or folder, under its base name."""
        if request.headers.get("content-type", "") != "application/x-tar":
            raise InvalidInput("the body is no application/x-tar", place="content-type")
        scratch = await run_in_threadpool(parts.registry.scratch)
        try:
            await _receive(request, scratch / "archive.tar")
            return await run_in_threadpool(_stored, parts, kind, content_hash, scratch)
        except OSError as error:
            raise no_room(error) from error
        finally:
            await run_in_threadpool(shutil.rmtree, scratch, True)

    return routes


async def _receive(request: Request, target: Path) -> None:
    received = 0
    with target.open("wb") as file:
        async for chunk in request.stream():
            received += len(chunk)
            if received > UPLOAD_BYTES_MAX:
                raise InvalidInput(f"the archive is larger than {UPLOAD_BYTES_MAX:,} bytes, the most that is taken")
            await run_in_threadpool(file.write, chunk)


def _stored(parts: ServiceParts, kind: UploadKind, content_hash: str, scratch: Path) -> Uploaded:
    unpacked = scratch / "content"
    unpacked.mkdir()
    with (scratch / "archive.tar").open("rb") as archive:
        unpack(archive, unpacked)
    if kind is UploadKind.DATA:
        store = parts.datastores.folder(DEFAULT_DATASTORE, place="archive")
        stored: Any = parts.registry.add_data(only_entry(unpacked), store, place="archive")
    else:
        stored = parts.registry.add_upload(kind.value, unpacked)
    if stored.content_hash != content_hash:
        raise InvalidInput(
            f"the archive's content has the hash {stored.content_hash}, the address says {content_hash[:64]}; "
            "it changed on its way, or while it was read: send it again"
        )
    path = _find(parts, kind, content_hash)
    assert path is not None
    return Uploaded(path=str(path))


def _find(parts: ServiceParts, kind: UploadKind, content_hash: str) -> Path | None:
    if kind is UploadKind.DATA:
        folder: Path | None = parts.datastores.folder(DEFAULT_DATASTORE, place="archive") / DATA_FOLDER / content_hash
        if "/" in content_hash or ".." in content_hash or folder is None or not folder.is_dir():
            return None
    else:
        folder = parts.registry.find(kind.value, content_hash)
    if folder is None:
        return None
    return next(folder.iterdir()) if kind.value in {MODELS, UploadKind.DATA} else folder
