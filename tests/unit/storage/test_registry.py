from __future__ import annotations

import errno
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scoring.errors import Conflict, InvalidInput
from storage import registry as registry_module
from storage.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def a_folder(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_model_folder_keeps_its_base_name(registry: Registry, tmp_path: Path) -> None:
    stored = registry.add_model(a_folder(tmp_path / "weights", a="1", sub__b="22"))
    assert (stored.path / "weights" / "a").read_text() == "1"
    assert (stored.path / "weights" / "sub" / "b").read_text() == "22"
    assert (stored.files, stored.size_bytes, stored.is_new) == (2, 3, True)
    assert stored.path.name == stored.content_hash


def test_a_model_file_keeps_its_name(registry: Registry, tmp_path: Path) -> None:
    stored = registry.add_model(a_folder(tmp_path / "x", model="m") / "model")
    assert [p.name for p in stored.path.iterdir()] == ["model"]


def test_the_same_content_is_the_same_path_and_other_content_is_not(registry: Registry, tmp_path: Path) -> None:
    first = registry.add_model(a_folder(tmp_path / "1" / "m", a="1"))
    again = registry.add_model(a_folder(tmp_path / "2" / "m", a="1"))
    assert (again.path, again.is_new) == (first.path, False)
    different = {
        registry.add_model(a_folder(tmp_path / "3" / "m", a="2")).path,
        registry.add_model(a_folder(tmp_path / "4" / "m", b="1")).path,
        registry.add_model(a_folder(tmp_path / "5" / "other", a="1")).path,
        registry.add_model(a_folder(tmp_path / "6" / "m", a="1", b="")).path,
        first.path,
    }
    assert len(different) == 5


def test_what_is_stored_outlives_its_source(registry: Registry, tmp_path: Path) -> None:
    source = a_folder(tmp_path / "m", a="before")
    stored = registry.add_model(source)
    (source / "a").write_text("after")
    kept = stored.path / "m" / "a"
    assert kept.read_text() == "before"
    assert not kept.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


def test_code_leaves_caches_out(registry: Registry, tmp_path: Path) -> None:
    source = a_folder(tmp_path / "c", score_py="x = 1", lib__a_py="")
    before = registry.add_code(source, "score.py")
    a_folder(source / "__pycache__", x="compiled")
    a_folder(source / ".git", HEAD="ref")
    assert registry.add_code(source, "score.py").path == before.path
    assert sorted(p.name for p in before.path.iterdir()) == ["lib", "score.py"]


@pytest.mark.parametrize("script", ["absent.py", "lib/absent.py"])
def test_a_script_that_is_not_there_is_refused(registry: Registry, tmp_path: Path, script: str) -> None:
    with pytest.raises(InvalidInput, match=r"code_configuration.scoring_script: there is no file .*it holds score.py"):
        registry.add_code(a_folder(tmp_path / "c", score_py=""), script)
    assert not (tmp_path / "registry" / "code").exists()


def test_sources_that_cannot_be_kept_whole_are_refused(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no file or folder"):
        registry.add_model(tmp_path / "absent")
    (tmp_path / "hollow").mkdir()
    with pytest.raises(InvalidInput, match="holds no file"):
        registry.add_model(tmp_path / "hollow")
    linked = a_folder(tmp_path / "linked", a="1")
    (linked / "loop").symlink_to(linked)
    with pytest.raises(InvalidInput, match="is a link to a folder"):
        registry.add_model(linked)
    dangling = a_folder(tmp_path / "dangling", a="1")
    (dangling / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="a link to nothing"):
        registry.add_model(dangling)
    piped = a_folder(tmp_path / "piped", a="1")
    os.mkfifo(piped / "pipe")
    with pytest.raises(InvalidInput, match="no regular file"):
        registry.add_model(piped)
    with pytest.raises(InvalidInput, match="no name of its own"):
        registry.add_model(Path("/"))


def test_a_linked_file_is_kept_as_its_content(registry: Registry, tmp_path: Path) -> None:
    source = a_folder(tmp_path / "m", a="1")
    (source / "b").symlink_to(source / "a")
    stored = registry.add_model(source)
    assert not (stored.path / "m" / "b").is_symlink()
    assert (stored.path / "m" / "b").read_text() == "1"


def test_too_much_code_is_refused(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "CODE_FILES_MAX", 3)
    source = a_folder(tmp_path / "c", score_py="", a="", b="")
    assert registry.add_code(source, "score.py").files == 3
    (source / "one more").touch()
    with pytest.raises(InvalidInput, match="data belongs into the model or the input"):
        registry.add_code(source, "score.py")
    monkeypatch.setattr(registry_module, "CODE_BYTES_MAX", 9)
    (source / "one more").unlink()
    (source / "a").write_text("x" * 10)
    with pytest.raises(InvalidInput, match="3 files of 10 bytes"):
        registry.add_code(source, "score.py")


def test_many_at_once_store_one_copy(registry: Registry, tmp_path: Path) -> None:
    source = a_folder(tmp_path / "m", **{f"f{n}": "x" * 1000 for n in range(20)})
    with ThreadPoolExecutor(8) as threads:
        stored = list(threads.map(lambda _: registry.add_model(source), range(16)))
    assert len({s.path for s in stored}) == 1
    assert sum(s.is_new for s in stored) == 1
    assert list((tmp_path / "registry" / "tmp").iterdir()) == []


def test_the_sweep_removes_what_was_left_long_ago_alone(registry: Registry, tmp_path: Path) -> None:
    old, new = tmp_path / "registry" / "tmp" / "old", tmp_path / "registry" / "tmp" / "new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    long_ago = time.time() - 7200
    os.utime(old, (long_ago, long_ago))
    registry.sweep()
    assert not old.exists()
    assert new.exists()


def test_a_full_disk_is_said_in_words_and_leaves_nothing(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(registry_module.os, "fsync", full)
    with pytest.raises(Conflict, match="disk is full, nothing was registered"):
        registry.add_model(a_folder(tmp_path / "m", a="1"))
    assert list((tmp_path / "registry" / "tmp").iterdir()) == []
    assert list((tmp_path / "registry" / "models").glob("*")) == []
