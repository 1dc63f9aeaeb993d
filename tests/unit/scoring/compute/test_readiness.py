"""Waiting on descriptors of any number."""

from __future__ import annotations

import fcntl
import os

import pytest

from scoring.compute.readiness import is_readable

LARGE = 1500
"""Beyond what select() takes."""


def test_a_descriptor_of_a_large_number() -> None:
    ours, theirs = os.pipe()
    large = fcntl.fcntl(ours, fcntl.F_DUPFD, LARGE)
    try:
        assert large >= LARGE
        assert not is_readable(large, 0.0)
        os.write(theirs, b"x")
        assert is_readable(large, 0.0)
    finally:
        for descriptor in (ours, theirs, large):
            os.close(descriptor)


def test_the_end_is_something_to_read() -> None:
    ours, theirs = os.pipe()
    os.close(theirs)
    try:
        assert is_readable(ours, 0.0)
    finally:
        os.close(ours)


def test_what_is_closed() -> None:
    with open(os.devnull) as file:
        pass
    with pytest.raises(ValueError, match="closed"):
        is_readable(file, 0.0)
