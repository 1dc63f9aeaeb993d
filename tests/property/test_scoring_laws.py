"""Laws of the job's decisions, for any input."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.collect import progress, succeeded_items
from scoring.deployment import RetrySettings
from scoring.job import JobInputType
from scoring.manifest import Manifest
from scoring.mini_batch_size import MiniBatchSize
from scoring.minibatch import InputItem, MiniBatchOutcome, MiniBatchResult
from scoring.plan import plan, planned_items
from scoring.retry import Failure, after_failure
from scoring.schedule import trigger_from_dict, trigger_to_dict
from scoring.triggers import CronTrigger, Frequency, RecurrencePattern, RecurrenceTrigger
from tests.effort import examples

sizes = st.integers(1, 50)
files = st.integers(0, 200).map(lambda n: [InputItem(uri=f"/{i}", size_bytes=i) for i in range(n)])
parts = st.lists(st.integers(0, 40)).map(
    lambda rows: [InputItem(uri=f"/{i}", size_bytes=1, rows=count) for i, count in enumerate(rows)]
)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "India Standard Time"])
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@given(files, sizes)
def test_files_are_planned_once_each_in_order_and_mini_batches_are_full(items: list[InputItem], size: int) -> None:
    found = plan(JobInputType.URI_FOLDER, items, MiniBatchSize(number=size))
    assert [item for m in found for item in m.items] == items
    assert all(len(m.items) == size for m in found[:-1])
    assert [m.index for m in found] == list(range(len(found)))


@given(parts, sizes)
def test_part_files_with_rows_are_planned_once_each_whole(items: list[InputItem], size: int) -> None:
    found = plan(JobInputType.TABLE, items, MiniBatchSize(number=size))
    assert [item for m in found for item in m.items] == [item for item in items if item.rows]
    assert all(planned_items(m) <= size or len(m.items) == 1 for m in found)
    for before, after in pairwise(found):
        # no mini-batch could have taken the next part file too
        assert planned_items(before) + (after.items[0].rows or 0) > size


@given(parts, sizes)
def test_the_same_input_is_the_same_manifest(items: list[InputItem], size: int) -> None:
    one, two = (
        Manifest(job_name="j", mini_batches=plan(JobInputType.TABLE, items, MiniBatchSize(number=size)))
        for _ in range(2)
    )
    assert one.fingerprint == two.fingerprint


@given(st.integers(1, 20), st.lists(st.sampled_from(Failure), min_size=20, max_size=20))
def test_a_mini_batch_is_tried_exactly_max_retries_times(most: int, failures: list[Failure]) -> None:
    tries = 0
    for failure in failures:
        tries += 1
        if not after_failure(failure, tries=tries, settings=RetrySettings(max_retries=most)).requeue:
            break
    assert tries == most


@given(st.integers(0, 100), st.integers(0, 100))
def test_success_is_never_more_than_items_nor_than_rows(returned: int, items: int) -> None:
    found = succeeded_items(returned=returned, items=items)
    assert 0 <= found <= items
    assert found <= returned


@given(files, sizes, st.data())
def test_progress_adds_up_whatever_has_ended(items: list[InputItem], size: int, data: st.DataObject) -> None:
    manifest = Manifest(job_name="j", mini_batches=plan(JobInputType.URI_FOLDER, items, MiniBatchSize(number=size)))
    ended = data.draw(st.sets(st.sampled_from(range(len(manifest.mini_batches))))) if items else set()
    results = []
    for index in ended:
        count = len(manifest.mini_batches[index].items)
        succeeded = data.draw(st.integers(0, count))
        results.append(
            MiniBatchResult(
                index=index,
                outcome=MiniBatchOutcome.SUCCEEDED,
                items=count,
                succeeded=succeeded,
                failed=count - succeeded,
                tries=1,
                seconds=0.0,
            )
        )
    found = progress(manifest, results)
    assert found.items == len(items)
    assert found.items_succeeded + found.items_failed == sum(r.items for r in results)
    assert found.mini_batches_done + len(manifest.remaining(ended)) == found.mini_batches


crons = st.builds(
    CronTrigger,
    expression=st.tuples(
        st.sampled_from(["*", "*/15", "0", "30", "5,35"]),
        st.sampled_from(["*", "*/6", "2", "1-3"]),
        st.sampled_from(["*", "1", "29"]),
        st.sampled_from(["*", "3", "10-11"]),
        st.sampled_from(["*", "MON", "6,0"]),
    ).map(" ".join),
    time_zone=zones,
)
fixed = st.builds(
    RecurrenceTrigger,
    frequency=st.sampled_from([Frequency.SECOND, Frequency.MINUTE, Frequency.HOUR]),
    interval=st.integers(1, 90),
    start_time=st.none() | moments,
    time_zone=zones,
)
dated = st.builds(
    RecurrenceTrigger,
    frequency=st.sampled_from([Frequency.DAY, Frequency.WEEK, Frequency.MONTH]),
    interval=st.integers(1, 4),
    pattern=st.builds(
        RecurrencePattern,
        hours=st.lists(st.integers(0, 23), max_size=3).map(tuple),
        minutes=st.lists(st.integers(0, 59), max_size=3).map(tuple),
        week_days=st.lists(st.integers(0, 6), max_size=2).map(tuple),
        month_days=st.lists(st.integers(1, 31), max_size=2).map(tuple),
    ),
    start_time=moments,
    time_zone=zones,
)
triggers = st.one_of(crons, fixed, dated)


@settings(max_examples=examples(300), deadline=None)
@given(triggers, moments)
def test_the_next_fire_is_later_and_nothing_lies_between(
    trigger: CronTrigger | RecurrenceTrigger, moment: datetime
) -> None:
    fire = trigger.next_after(moment)
    if fire is None:
        return
    assert fire > moment
    assert fire.tzinfo is UTC
    # asked at any moment before it, the same fire is next
    between = moment + (fire - moment) / 2
    assert trigger.next_after(between) == fire
    assert trigger.next_after(fire - timedelta(microseconds=1)) == fire
    following = trigger.next_after(fire)
    assert following is None or following > fire


@given(triggers)
def test_a_trigger_survives_its_document(trigger: CronTrigger | RecurrenceTrigger) -> None:
    assert trigger_from_dict(trigger_to_dict(trigger)) == trigger
