"""Content as a stream of bytes between machines: tar, regular files only.

What comes from elsewhere is not trusted: names stay inside the folder they are unpacked into, links and devices are
refused, and files and bytes are counted while they are written.
"""

from __future__ import annotations

import shutil
import stat
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from scoring.errors import InvalidInput
from storage.content import Found, chunks_of

UPLOAD_FILES_MAX = 1_000_000
UPLOAD_BYTES_MAX = 100_000_000_000

_NAME_BYTES_MAX = 4_000


def packed(found: Sequence[Found], place: str) -> Iterator[bytes]:
    """The tar of these files, a piece at a time. Raises InvalidInput for one that cannot be read, or changes."""
    for file in found:
        info = tarfile.TarInfo(file.name)
        state = file.source.stat()
        info.size, info.mode = state.st_size, 0o755 if state.st_mode & stat.S_IXUSR else 0o644
        yield info.tobuf(tarfile.PAX_FORMAT)
        sent = 0
        for chunk in chunks_of(file, place):
            sent += len(chunk)
            yield chunk
        if sent != info.size:
            raise InvalidInput(f"{file.source} changed while it was read; try again when it is complete", place=place)
        yield b"\0" * (-sent % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def unpack(stream: IO[bytes], folder: Path) -> int:
    """Write the files of a tar below `folder`; returns how many. Raises InvalidInput for anything else than files."""
    files = total = 0
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                path = folder / _inside(member)
                if member.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                files, total = files + 1, total + member.size
                if files > UPLOAD_FILES_MAX or total > UPLOAD_BYTES_MAX:
                    raise InvalidInput(
                        f"the archive holds more than {UPLOAD_FILES_MAX:,} files or {UPLOAD_BYTES_MAX:,} bytes"
                    )
                _write(archive, member, path)
    except (tarfile.TarError, EOFError) as error:
        raise InvalidInput(f"the archive is no tar, or not a whole one: {error}") from None
    return files


def _inside(member: tarfile.TarInfo) -> PurePosixPath:
    name = PurePosixPath(member.name)
    if not (member.isreg() or member.isdir()):
        raise InvalidInput(f"the archive holds {member.name!r}, which is no regular file")
    if name.is_absolute() or ".." in name.parts or not name.parts or len(member.name.encode()) > _NAME_BYTES_MAX:
        raise InvalidInput(f"the archive holds the name {member.name[:100]!r}, which leads out of its folder")
    if "\0" in member.name:
        raise InvalidInput("the archive holds a name with a NUL character")
    return name


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        source = archive.extractfile(member)
        assert source is not None
        with path.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        path.chmod(0o755 if member.mode & stat.S_IXUSR else 0o644)
    except (FileExistsError, IsADirectoryError, NotADirectoryError):
        raise InvalidInput(f"the archive holds {member.name!r} as a file and as a folder") from None
