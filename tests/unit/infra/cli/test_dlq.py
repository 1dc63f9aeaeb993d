from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from infra.cli.dlq import _safe, _wanted
from infra.cli.main import root
from ingestion.counted_letters import LetterId
from ingestion.letter import Letter
from ingestion.letter_desk import LetterCase


def case(**changes: Any) -> LetterCase:
    fields: dict[str, Any] = {
        "id": LetterId(1, 2),
        "stored_at": datetime.now(UTC) - timedelta(hours=2),
        "reason": "bad_json",
        "detail": "why",
        "origin": ("readings", 1, 7),
        "key": b"pump-1",
        "value": b"{",
    }
    return LetterCase(letter=Letter(**{**fields, **changes}), state="open", decision=None)


@pytest.mark.parametrize(
    ("wanted", "is_there"),
    [
        ({}, True),
        ({"reasons": ("bad_id", "bad_json")}, True),
        ({"reasons": ("bad_id",)}, False),
        ({"machine": "pump-1"}, True),
        ({"machine": "pump-2"}, False),
        ({"since": timedelta(hours=3)}, True),
        ({"since": timedelta(hours=1)}, False),
        ({"until": timedelta(hours=1)}, True),
        ({"until": datetime(2020, 1, 1, tzinfo=UTC)}, False),
        ({"states": ("discarded",)}, False),
    ],
)
def test_filters(wanted: dict[str, Any], is_there: bool) -> None:
    none: dict[str, Any] = {"reasons": (), "machine": None, "since": None, "until": None, "states": ()}
    assert _wanted(**{**none, **wanted})(case()) is is_there


def test_original_bytes_are_shown_so_that_a_terminal_does_not_act_on_them() -> None:
    assert _safe(b"\x1b[2Jgone\r\n\xff\x00") == "\\x1b[2Jgone\\r\\n\\xff\\x00"
    assert _safe("°C".encode()) == "°C"
    assert _safe(None) is None
    assert (_safe(b"x" * 5000) or "").endswith("x… (5,000 bytes)")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show", "17"], "write its partition and offset, e.g. 2/17"),
        (["list", "--stream", "a", "--topic", "b"], "give --stream or --topic, not both"),
        (["replay"], "name letters, or give --all"),
        (["replay", "2/17", "--all"], "name letters, or give --all"),
        (["replay", "2/17", "--reason", "bad_json"], "filters go with --all"),
        (["replay", "2/17", "--patch", "[1]"], "not a JSON object"),
        (["replay", "2/17", "--patch", "{"], "not JSON"),
        (["discard", "2/17"], "--why"),
    ],
)
def test_what_is_refused_before_anything_is_asked(arguments: list[str], told: str) -> None:
    ended = CliRunner().invoke(root, ["dlq", *arguments], env={"TIDEMILL_KAFKA_BOOTSTRAP": "127.0.0.1:9"})
    assert ended.exit_code == 2
    assert told in ended.output
