"""How far pins move, and which of them."""

from __future__ import annotations

import pytest

from scoring.environments.relaxing import Pin, Reach, to_move


def steps(written: str) -> list[str]:
    pin: Pin | None = Pin(written=written)
    found = []
    while pin is not None:
        found.append(pin.line)
        pin = pin.farther
    return found


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        ("a==1.13.0", ["a==1.13.0", "a==1.13.*", "a==1.*", "a"]),
        ("a==1.13", ["a==1.13", "a==1.13.*", "a==1.*", "a"]),
        ("a==1", ["a==1", "a==1.0.*", "a==1.*", "a"]),
        ("a==1.13.*", ["a==1.13.*", "a==1.*", "a"]),
        ("a==1.*", ["a==1.*", "a"]),
        ("a~=1.4.2", ["a~=1.4.2", "a==1.4.*", "a==1.*", "a"]),
        ("a~=1.4", ["a~=1.4", "a==1.*", "a"]),
        ("a>=1,<2", ["a>=1,<2", "a"]),
        ("a", ["a"]),
        ("a @ https://h/a.whl", ["a @ https://h/a.whl"]),
        ("git+https://h/a", ["git+https://h/a"]),
        ("a[x]==1.2.3", ["a[x]==1.2.3", "a[x]==1.2.*", "a[x]==1.*", "a[x]"]),
    ],
)
def test_the_nearest_first(written: str, lines: list[str]) -> None:
    assert steps(written) == lines


def test_a_marker_stays() -> None:
    assert steps('a==1.2; python_version < "3.9"')[-1] == 'a; python_version < "3.9"'


def test_nearer_are_the_steps_before() -> None:
    pin = Pin(written="a==1.2.3", reach=Reach.ANY)
    assert [one.line for one in pin.nearer] == ["a==1.2.3", "a==1.2.*", "a==1.*"]
    assert Pin(written="a==1.2.3").nearer == []


PINS = [Pin(written=line) for line in ("torch==1.13.0", "Torch_Vision==0.14.0", "numpy", "lightning==1.2")]


@pytest.mark.parametrize(
    ("reason", "moved"),
    [
        ("torch-vision==0.14.0 has no wheels with a matching Python ABI tag and you require torch", {"torch-vision"}),
        ("there is no version of lightning==1.2 and you require lightning==1.2", {"lightning"}),
        ("torch-vision==0.14.0 depends on torch==1.13.0 and you require torch==1.13.0", {"torch", "torch-vision"}),
        ("numpy has no wheels for this platform", {"torch", "torch-vision", "lightning"}),  # numpy is not pinned
        ("something went wrong", {"torch", "torch-vision", "lightning"}),
    ],
)
def test_who_stands_in_the_way(reason: str, moved: set[str]) -> None:
    assert to_move(PINS, reason) == moved


def test_nobody_moves_when_all_have() -> None:
    assert to_move([Pin(written="a"), Pin(written="b @ https://h/b.whl")], "a has no wheels") == frozenset()
