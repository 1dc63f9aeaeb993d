"""The lock of the jars, and what happens to a jar that is not what the lock says."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from infra.devstack.errors import NotUsable
from infra.devstack.jars import KAFKA, ROOTS, Jar, JarCache, read_lock


def cached(tmp_path: Path, content: bytes = b"jar") -> tuple[JarCache, Path]:
    jar = Jar(group="org.example", artifact="thing", version="1.0", sha256=hashlib.sha256(b"jar").hexdigest())
    cache = JarCache(tmp_path, (jar,))
    path = cache.root / "org" / "example" / "thing" / "1.0" / "thing-1.0.jar"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return cache, path


def test_the_lock_holds_the_roots_and_one_version_of_kafka() -> None:
    jars = read_lock()
    coordinates = {f"{jar.group}:{jar.artifact}:{jar.version}" for jar in jars}
    assert set(ROOTS) <= coordinates
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {KAFKA}
    assert all(len(jar.sha256) == 64 for jar in jars)
    assert len({(jar.group, jar.artifact) for jar in jars}) == len(jars)


def test_a_line_that_is_no_coordinate_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text("# comment\n\na:b:1 abc\na:b abc\n")
    with pytest.raises(NotUsable, match=r"some\.lock line 4"):
        read_lock(lock)


def test_right_jars_make_the_class_path(tmp_path: Path) -> None:
    cache, path = cached(tmp_path)
    assert cache.missing() == []
    assert cache.classpath() == str(path)


def test_a_wrong_jar_is_refused_and_deleted(tmp_path: Path) -> None:
    cache, path = cached(tmp_path, b"something else")
    with pytest.raises(NotUsable, match=r"thing-1\.0\.jar has sha256"):
        cache.classpath()
    assert not path.exists()


def test_a_jar_that_changes_after_it_was_verified_is_noticed(tmp_path: Path) -> None:
    cache, path = cached(tmp_path)
    cache.classpath()
    path.write_bytes(b"jaR")
    os.utime(path, ns=(1, 1))
    with pytest.raises(NotUsable, match="has sha256"):
        cache.classpath()
