from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from ingestion.counted_letters import LetterId
from ingestion.errors import TryAgain
from ingestion.letter_desk import Decision
from storage.lake.letter_decisions import LakeDecisions

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def decision(offset: int, action: Literal["replay", "discard"] = "replay") -> Decision:
    return Decision(
        letter=LetterId(2, offset),
        action=action,
        by="ops",
        why=None if action == "replay" else "broken",
        decided_at=NOW,
        partition=3 if action == "replay" else None,
        key=b"\xff\x00" if action == "replay" else None,
        patch='{"value": 1}' if action == "replay" else None,
    )


def test_what_was_decided_is_known_to_all(tmp_path: Path) -> None:
    one = LakeDecisions(tmp_path, "dead")
    assert one.known() == {}
    assert not list(tmp_path.iterdir()), "to look makes no table"
    mine = [decision(1), decision(4, "discard")]
    one.add(mine)
    one.add([decision(9)])
    expected = {held.letter: held for held in [*mine, decision(9)]}
    assert one.known() == LakeDecisions(tmp_path, "dead").known() == expected
    assert LakeDecisions(tmp_path, "other").known() == {}


@pytest.mark.parametrize("is_there_before", [False, True])
def test_of_two_who_decide_at_once_one_looks_again(tmp_path: Path, is_there_before: bool) -> None:
    if is_there_before:
        first = LakeDecisions(tmp_path, "dead")
        first.known()
        first.add([decision(0)])
    one, other = LakeDecisions(tmp_path, "dead"), LakeDecisions(tmp_path, "dead")
    known = one.known(), other.known()
    assert known[0] == known[1]
    one.add([decision(1)])
    with pytest.raises(TryAgain, match="look again"):
        other.add([decision(1, "discard")])
    assert other.known()[LetterId(2, 1)].action == "replay"
    other.add([decision(2)])
    assert set(one.known()) == {*known[0], LetterId(2, 1), LetterId(2, 2)}
