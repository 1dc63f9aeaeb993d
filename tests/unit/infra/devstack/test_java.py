"""Which Java a `java -version` speaks of."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.devstack.java import Java, major_version
from infra.devstack.kafka import java_options


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ('openjdk version "25.0.2" 2026-01-20 LTS', 25),
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_312"', 8),
        ('openjdk version "21" 2023-09-19', 21),
        ("command not found", None),
    ],
)
def test_major_version(output: str, version: int | None) -> None:
    assert major_version(output) == version


@pytest.mark.parametrize(("version", "native", "unsafe"), [(17, False, False), (22, True, False), (25, True, True)])
def test_flags_that_an_older_java_would_refuse_are_left_out(version: int, native: bool, unsafe: bool) -> None:
    options = java_options(Java(program=Path("java"), version=version), temporary=Path("tmp"))
    assert ("--enable-native-access=ALL-UNNAMED" in options) is native
    assert ("--sun-misc-unsafe-memory-access=allow" in options) is unsafe
