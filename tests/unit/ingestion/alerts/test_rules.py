"""Alert rules as documents write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
import yaml

from ingestion.alerts.rules import AlertRule, Rate, Silence, Threshold, rules_of
from ingestion.errors import InvalidInput
from ingestion.window import WINDOW_SCHEMA


def test_a_list_of_rules_is_read() -> None:
    document = yaml.safe_load(
        """
        - name: hot
          severity: critical
          description: Bearings run hot.
          where: {sensor_id: "*/bearing_temperature", machine_id: [north-*, south-*]}
          threshold: {column: mean, above: 90, clear: 85}
          for: 3
        - {name: odd, threshold: {column: median, outside: [1, 2.5]}}
        - {name: cold, threshold: {column: min, below: -5}}
        - {name: jump, rate: {column: mean, change: 10, within: 1m, direction: rise}}
        - {name: mute, silence: {after: 5m}, severity: info}
        """
    )
    hot, odd, cold, jump, mute = rules_of(document, WINDOW_SCHEMA)
    assert hot == AlertRule(
        name="hot",
        severity="critical",
        description="Bearings run hot.",
        where={"sensor_id": ("*/bearing_temperature",), "machine_id": ("north-*", "south-*")},
        condition=Threshold(column="mean", high=90, clear_high=85),
        for_windows=3,
    )
    assert odd.condition == Threshold(column="median", low=1, high=2.5, clear_low=1, clear_high=2.5)
    assert cold.condition == Threshold(column="min", low=-5, clear_low=-5)
    assert jump.condition == Rate(column="mean", change=10, within=timedelta(minutes=1), direction="rise")
    assert mute == AlertRule(name="mute", condition=Silence(after=timedelta(minutes=5)), severity="info")
    assert hot.columns == {"mean", "sensor_id", "machine_id"}
    assert mute.columns == set()


def test_no_rules_are_none() -> None:
    assert rules_of(None, WINDOW_SCHEMA) == rules_of([], WINDOW_SCHEMA) == ()


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{}", "alerts: found a mapping, wanted a list of rules"),
        ("[hot]", r"alerts\[0\]: found 'hot', wanted a mapping"),
        ("[{name: Hot, silence: {after: 5m}}]", r"alerts\[0\]\.name: found 'Hot', wanted a name"),
        ("[{silence: {after: 5m}}]", r"alerts\[0\]\.name: found nothing"),
        ("[{name: a, silence: {after: 5m}, colour: red}]", r"alerts\[0\]: found the key 'colour', allowed are name, "),
        ("[{name: a, silence: {after: 5m}, severity: bad}]", r"severity: found 'bad', wanted one of info, warning"),
        ("[{name: a}]", r"alerts\[0\]: found none of them, wanted exactly one of threshold, rate, silence"),
        ("[{name: a, silence: {after: 5m}, rate: {}}]", r"alerts\[0\]: found rate and silence, wanted exactly one"),
        ("[{name: a, silence: {after: 5}}]", r"silence\.after: found the number 5, wanted a duration"),
        ("[{name: a, silence: {after: soon}}]", r"silence\.after: 'soon' is no duration"),
        ("[{name: a, silence: {after: 5m}, for: 2}]", r"alerts\[0\]\.for: a silence counts no windows"),
        (
            "[{name: a, threshold: {column: mean, above: 1}, for: 0}]",
            r"\.for: found the number 0, wanted a number of windows, 1 ",
        ),
        ("[{name: a, threshold: {column: mean, above: 1}, for: true}]", r"\.for: found true"),
        ("[{name: a, threshold: {column: heat, above: 1}}]", r"\.threshold\.column: found 'heat', wanted a column of "),
        ("[{name: a, threshold: {column: unit, above: 1}}]", r"\.threshold\.column: found 'unit', wanted a column of "),
        ("[{name: a, threshold: {column: mean}}]", r"\.threshold: found none of them, wanted exactly one of above, "),
        ("[{name: a, threshold: {column: mean, above: 1, below: 2}}]", "found above and below, wanted exactly one of"),
        ("[{name: a, threshold: {column: mean, above: hot}}]", r"\.threshold\.above: found 'hot', wanted a number"),
        (
            "[{name: a, threshold: {column: mean, above: .nan}}]",
            r"\.threshold\.above: found the number nan, wanted a number",
        ),
        ("[{name: a, threshold: {column: mean, outside: [2, 1]}}]", r"\.outside: 2 is greater than 1"),
        ("[{name: a, threshold: {column: mean, outside: 2}}]", r"\.outside: found the number 2, wanted two numbers"),
        (
            "[{name: a, threshold: {column: mean, above: 1, clear: 2}}]",
            r"\.clear: it lies beyond alerts\[0\]\.threshol",
        ),
        ("[{name: a, threshold: {column: mean, outside: [1, 2], clear: [0, 2]}}]", r"\.clear: it lies beyond"),
        (
            "[{name: a, rate: {column: mean, change: -1, within: 1m}}]",
            r"\.rate\.change: found the number -1, wanted a number abo",
        ),
        ("[{name: a, rate: {column: mean, change: 1}}]", r"\.rate\.within: found nothing, wanted a duration"),
        (
            "[{name: a, where: {mean: 1}, silence: {after: 5m}}]",
            r"\.where: found the key 'mean', allowed are machine_id",
        ),
        (
            "[{name: a, where: {sensor_id: [1]}, silence: {after: 5m}}]",
            r"\.where\.sensor_id: found a list, wanted a tex",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_path(written: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        rules_of(yaml.safe_load(written), WINDOW_SCHEMA)


def test_a_name_is_given_once() -> None:
    rule = {"name": "a", "silence": {"after": "5m"}}
    with pytest.raises(InvalidInput, match=r"alerts\[1\]\.name: an earlier rule is named 'a' too"):
        rules_of([rule, rule], WINDOW_SCHEMA)


def test_a_row_is_meant_where_all_columns_match() -> None:
    [rule] = rules_of(
        [{"name": "a", "where": {"sensor_id": ["*/flow", "*/head"], "machine_id": "n*"}, "silence": {"after": "5m"}}],
        WINDOW_SCHEMA,
    )
    assert rule.concerns({"machine_id": "north", "sensor_id": "north/flow"})
    assert not rule.concerns({"machine_id": "south", "sensor_id": "north/flow"})
    assert not rule.concerns({"machine_id": "north", "sensor_id": "north/power"})
    assert not rule.concerns({"machine_id": "north", "sensor_id": None})


def test_a_fingerprint_tells_of_what_decides_only() -> None:
    def print_of(**changed: object) -> str:
        fields = {"name": "a", "threshold": {"column": "mean", "above": 1}, **changed}
        return rules_of([fields], WINDOW_SCHEMA)[0].fingerprint

    assert print_of() == print_of(description="Other words", severity="critical")
    assert len({print_of(), print_of(threshold={"column": "mean", "above": 2}), print_of(**{"for": 2})}) == 3


def test_bounds_belong_to_what_lies_within() -> None:
    band = Threshold(column="mean", low=1, high=5, clear_low=2, clear_high=4)
    assert [band.broken_bound(value) for value in (0.9, 1, 5, 5.1)] == [1, None, None, 5]
    assert [band.is_clear(value) for value in (1.9, 2, 4, 4.1)] == [False, True, True, False]
