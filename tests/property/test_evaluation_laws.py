"""Laws of the evaluation, for any flags and episodes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from scoring.evaluation import Episode, ScoredWindow, evaluate

T0 = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
flags = st.lists(st.booleans(), max_size=40)
spans = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), max_size=4)


def windows(given_flags: list[bool]) -> list[ScoredWindow]:
    return [
        ScoredWindow(machine_id="p", start=T0 + i * MINUTE, end=T0 + (i + 1) * MINUTE, flagged=flag)
        for i, flag in enumerate(given_flags)
    ]


def episodes(given_spans: list[tuple[int, int]]) -> list[Episode]:
    return [
        Episode(fault_id=str(n), machine_id="p", kind="wear", starts_at=T0 + a * MINUTE, ends_at=T0 + (a + b) * MINUTE)
        for n, (a, b) in enumerate(given_spans)
    ]


@given(flags, spans, st.integers(1, 5), st.integers(0, 5))
def test_every_window_is_counted_once(f: list[bool], s: list[tuple[int, int]], persistence: int, settling: int) -> None:
    found = evaluate(windows(f), episodes(s), persistence=persistence, settling=settling * MINUTE)
    assert found.windows + found.skipped == len(f)
    assert found.true_positives + found.false_positives <= sum(f)


@given(flags, spans, st.integers(1, 5))
def test_a_perfect_model_is_perfect(f: list[bool], s: list[tuple[int, int]], persistence: int) -> None:
    wrong = episodes(s)
    perfect = [
        ScoredWindow(machine_id=w.machine_id, start=w.start, end=w.end, flagged=any(w.is_in(e) for e in wrong))
        for w in windows(f)
    ]
    found = evaluate(perfect, wrong, persistence=persistence)
    assert found.false_positives == found.false_negatives == found.false_alarms == 0
    assert all(o.detected_at for o in found.outcomes if o.windows >= persistence)


@given(flags, spans, st.integers(1, 4))
def test_asking_for_more_persistence_never_finds_more(
    f: list[bool], s: list[tuple[int, int]], persistence: int
) -> None:
    less = evaluate(windows(f), episodes(s), persistence=persistence)
    more = evaluate(windows(f), episodes(s), persistence=persistence + 1)
    assert more.detected <= less.detected
    assert more.false_alarms <= less.false_alarms


@given(flags, spans, st.randoms(use_true_random=False))
def test_order_of_input_does_not_matter(f: list[bool], s: list[tuple[int, int]], shuffler: object) -> None:
    mixed = windows(f)
    shuffler.shuffle(mixed)  # type: ignore[attr-defined]
    assert evaluate(mixed, episodes(s)) == evaluate(windows(f), episodes(s))
