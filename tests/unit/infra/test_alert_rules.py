"""Rules of a home: the built-in stream's file, and those of definitions."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from infra.alert_rules import AlertRules, read_built_in
from infra.settings import Settings
from ingestion.errors import InvalidInput
from scoring import errors as scoring_errors

RULES = """\
alerts:
  - name: hot
    threshold:
      column: mean
      above: {above}
"""

DEFINITION = """\
name: small
window: {type: tumbling, size: 10s, correction_lateness: 1m}
aggregates: {count: count, warmest: max}
sink: {table: smalls}
alerts:
  - {name: warm, threshold: {column: warmest, above: 3}}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, correction_lateness_seconds=90)


def test_a_home_without_rules(settings: Settings) -> None:
    (stored,) = AlertRules(settings).all()
    assert stored.stream is not None
    assert (stored.name, stored.table, stored.problem) == ("windows", "windows", None)
    assert (stored.stream.rules, stored.stream.correction) == ((), timedelta(seconds=90))


def test_rules_are_read_again_when_their_file_is_another(settings: Settings) -> None:
    rules = AlertRules(settings)
    assert rules.all() is rules.all()
    settings.paths.alerts.write_text(RULES.format(above=90))
    (stored,) = rules.all()
    assert stored.stream is not None
    assert [rule.name for rule in stored.stream.rules] == ["hot"]
    settings.paths.alerts.write_text(RULES.format(above="hot"))
    (stored,) = rules.all()
    assert stored.stream is None
    assert stored.problem is not None
    settings.paths.alerts.unlink()
    (stored,) = rules.all()
    assert stored.problem is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (RULES.format(above="hot"), r"alerts.yml:5: alerts\[0\].threshold.above: found 'hot', wanted a number"),
        ("rules: []", r"alerts.yml:1: rules: unknown key; .*allowed: alerts"),
        ("alerts: [", r"alerts.yml:1: .*not YAML"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(settings: Settings, text: str, told: str) -> None:
    settings.paths.alerts.write_text(text)
    (stored,) = AlertRules(settings).all()
    assert stored.problem is not None
    with pytest.raises((InvalidInput, scoring_errors.InvalidInput), match=told):
        read_built_in(settings.paths.alerts, settings)


def test_definitions_bring_their_own(settings: Settings) -> None:
    settings.paths.streams.mkdir()
    (settings.paths.streams / "small.yml").write_text(DEFINITION)
    (settings.paths.streams / "wrong.yml").write_text("name: wrong")
    built_in, small, wrong = AlertRules(settings).all()
    assert built_in.name == "windows"
    assert small.stream is not None
    assert (small.name, small.table, small.stream.key) == ("small", "smalls", ("machine_id", "sensor_id"))
    assert [rule.name for rule in small.stream.rules] == ["warm"]
    assert small.stream.correction == timedelta(minutes=1)
    assert wrong.stream is None
    assert wrong.problem is not None
