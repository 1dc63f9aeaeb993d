"""Content between machines: what goes in comes out, and what should not come in does not."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from scoring.errors import InvalidInput
from storage import archive
from storage.archive import packed, unpack
from storage.content import code_content, hash_of, named_content


def a_tar(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return io.BytesIO(buffer.getvalue())


def named(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def test_content_comes_out_as_it_went_in(tmp_path: Path) -> None:
    source = tmp_path / "model"
    for name, content in (("a", b""), ("sub/ü.bin", os.urandom(1_500_000)), ("n" * 200, b"1" * 512)):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (source / "a").chmod(0o755)
    found = named_content(source, "path")
    assert unpack(io.BytesIO(b"".join(packed(found, "path"))), tmp_path / "out") == 3
    again = named_content(tmp_path / "out" / "model", "path")
    assert hash_of(again, "path") == hash_of(found, "path")
    assert os.access(tmp_path / "out" / "model" / "a", os.X_OK)


def test_code_is_hashed_without_what_differs_between_machines(tmp_path: Path) -> None:
    for name in ("score.py", "__pycache__/score.pyc", ".git/HEAD"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert [file.name for file in code_content(tmp_path, "code")] == ["score.py"]


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (named("../out"), "leads out"),
        (named("a/../../out"), "leads out"),
        (named("/etc/x"), "leads out"),
        (named("link", tarfile.SYMTYPE, "/etc/passwd"), "no regular file"),
        (named("hard", tarfile.LNKTYPE, "a"), "no regular file"),
        (named("device", tarfile.CHRTYPE), "no regular file"),
        (named("pipe", tarfile.FIFOTYPE), "no regular file"),
    ],
)
def test_what_is_no_file_inside_is_refused(tmp_path: Path, member: tarfile.TarInfo, reason: str) -> None:
    content = b"" if member.type != tarfile.REGTYPE else b"x"
    with pytest.raises(InvalidInput, match=reason):
        unpack(a_tar((member, content)), tmp_path / "inside")
    assert not (tmp_path / "out").exists()


def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="as a file and as a folder"):
        unpack(a_tar((named("a"), b"1"), (named("a/b"), b"2")), tmp_path)


@pytest.mark.parametrize("cut", [100, 700, 1024])
def test_half_an_archive_is_refused(tmp_path: Path, cut: int) -> None:
    whole = a_tar((named("a"), b"1" * 5000)).getvalue()
    with pytest.raises(InvalidInput, match="no tar, or not a whole one"):
        unpack(io.BytesIO(whole[:cut]), tmp_path)


def test_anything_else_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no tar"):
        unpack(io.BytesIO(b"hello" * 1000), tmp_path)


def test_files_and_bytes_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [(named(str(number)), b"") for number in range(11)]
    monkeypatch.setattr(archive, "UPLOAD_FILES_MAX", 10)
    with pytest.raises(InvalidInput, match="more than 10 files"):
        unpack(a_tar(*many), tmp_path)
    monkeypatch.setattr(archive, "UPLOAD_BYTES_MAX", 10)
    with pytest.raises(InvalidInput, match="or 10 bytes"):
        unpack(a_tar((named("a"), b"x" * 11)), tmp_path)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    pieces = packed(named_content(tmp_path / "a", "path"), "path")
    next(pieces)
    (tmp_path / "a").write_text("12345")
    with pytest.raises(InvalidInput, match="changed while it was read"):
        list(pieces)
