"""Which parts a start is for, and what each waits for."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.devstack.errors import NotUsable
from infra.devstack.parts import Part, choose, waits
from infra.devstack.processes import Launch
from infra.devstack.services import PORTS, stack_parts
from infra.home import Home


def part(name: str, *after: str, once: bool = False) -> Part:
    return Part(name=name, after=after, once=once, launch=lambda: Launch(argv=(), cwd=Path(), log=Path()))


PARTS = [
    part("postgres"),
    part("kafka"),
    part("migrate", "postgres", once=True),
    part("topics", "kafka", once=True),
    part("serve", "migrate", "topics"),
]


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        ([], ["postgres", "kafka", "migrate", "topics", "serve"]),
        (["postgres"], ["postgres"]),
        (["kafka", "postgres"], ["postgres", "kafka"]),
        (["postgres", "serve"], ["postgres", "migrate", "serve"]),
        (["serve"], ["serve"]),
    ],
)
def test_named_parts_bring_the_steps_that_can_be_done(only: list[str], chosen: list[str]) -> None:
    assert [one.name for one in choose(PARTS, only)] == chosen


def test_an_unknown_part_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(NotUsable, match="unknown part: kafak; the parts are postgres, kafka, migrate, topics, serve"):
        choose(PARTS, ["kafak", "postgres"])


def test_a_part_waits_only_for_what_was_chosen() -> None:
    chosen = choose(PARTS, ["postgres", "serve"])
    assert waits(PARTS[4], chosen) == ("migrate",)


def test_the_real_table_needs_nothing_that_is_not_in_it(tmp_path: Path) -> None:
    parts = stack_parts(Home(tmp_path), {name: 20_000 + n for n, name in enumerate(PORTS)})
    names = [one.name for one in parts]
    assert len(names) == len(set(names))
    for index, one in enumerate(parts):
        assert set(one.after) <= set(names[:index]), f"{one.name} waits for a part that comes after it"


def test_children_do_not_follow_the_addresses_of_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_KAFKA_BOOTSTRAP", "elsewhere:9092")
    monkeypatch.setenv("TIDEMILL_WINDOW_SECONDS", "5")
    parts = {one.name: one for one in stack_parts(Home(tmp_path), dict.fromkeys(PORTS, 20000))}
    env = parts["stream"].launch().env
    assert "TIDEMILL_KAFKA_BOOTSTRAP" not in env
    assert env["TIDEMILL_WINDOW_SECONDS"] == "5"
    assert env["TIDEMILL_HOME"] == str(tmp_path)
