"""The same seed and start are the same bytes, however they are sliced; a fleet's readings are in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.codec import encode_batch, to_microseconds
from ingestion.reading import READING_SCHEMA
from ingestion.sensors.delivery import Delivery, DeliveryShares, Message
from ingestion.sensors.faults import FaultPlan
from ingestion.sensors.fleet import Fleet, FleetSpec, episodes_of
from ingestion.sensors.machine import BLOCK
from tests.effort import examples

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
# over the end of a block, where the state of one is handed to the next
INTERVAL = timedelta(seconds=4)
LENGTH = INTERVAL * BLOCK + timedelta(minutes=3)


def fleet(seed: int, start: datetime = START) -> Fleet:
    spec = FleetSpec(machines=3, sites=2, seed=seed, interval=INTERVAL, faults=FaultPlan(rate=30))
    return Fleet(spec, starts_at=start, episodes=episodes_of(spec, starts_at=start, ends_at=start + LENGTH))


def readings(source: Fleet, cuts: list[timedelta]) -> dict[str, bytes]:
    """Bytes of each machine's readings, taken in slices of the given lengths."""
    reader, batches = source.reader(), []
    for length in cuts:
        batches += reader.next(length).batches
    batches += reader.next(source.starts_at + LENGTH - reader.position).batches
    table = pa.Table.from_batches(batches, schema=READING_SCHEMA)
    found = {}
    for machine in source.machines:
        mine = table.filter(pa.compute.equal(table.column("machine_id"), machine.machine_id))
        assert mine.num_rows > 0
        found[machine.machine_id] = encode_batch(mine.combine_chunks().to_batches()[0])
    return found


WHOLE = {seed: readings(fleet(seed), []) for seed in (1, 2)}

lengths = st.lists(
    st.integers(1, LENGTH // timedelta(milliseconds=1) // 30).map(lambda ms: timedelta(milliseconds=ms)), max_size=25
)


@settings(max_examples=examples(25), deadline=None)
@given(st.sampled_from([1, 2]), lengths)
def test_readings_do_not_depend_on_slices(seed: int, cuts: list[timedelta]) -> None:
    assert readings(fleet(seed), cuts) == WHOLE[seed]


def test_another_seed_is_another_plant() -> None:
    assert all(WHOLE[1][machine] != WHOLE[2][machine] for machine in WHOLE[1])


@settings(max_examples=examples(15), deadline=None)
@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.integers(0, 2**40), lengths)
def test_slices_hold_their_time_and_keep_each_machines_order(start: datetime, seed: int, cuts: list[timedelta]) -> None:
    source = fleet(seed, start.replace(tzinfo=UTC))
    reader = source.reader()
    last: dict[str, int] = {}
    for length in cuts:
        piece = reader.next(length)
        for batch in piece.batches:
            assert batch.schema == READING_SCHEMA
            times = batch.column("event_time").cast(pa.int64()).to_pylist()
            machine = batch.column("machine_id")[0].as_py()
            assert to_microseconds(piece.start) <= times[0]
            assert times[-1] < to_microseconds(piece.end)
            assert times == sorted(times)
            assert last.get(machine, -1) < times[0]
            last[machine] = times[-1]
            assert pa.compute.all(pa.compute.is_finite(batch.column("value"))).as_py()


share = st.floats(0, 0.2)


@given(share, share, share, share, share, st.integers(0, 400), st.integers(0, 2**32))
def test_delivery_neither_invents_nor_forgets(
    late: float, out_of_order: float, duplicated: float, dropped: float, corrupt: float, count: int, seed: int
) -> None:
    shares = DeliveryShares(
        late=late, out_of_order=out_of_order, duplicated=duplicated, dropped=dropped, corrupt=corrupt
    )
    delivery = Delivery(shares, seed=seed)
    sent: list[Message] = []
    for number in range(count):
        sent += delivery.pass_on(Message(key=b"m", value=b"%d" % number, event_us=number * 1_000_000))
    sent += delivery.drain()
    assert len(sent) == count - delivery.counts["dropped"] + delivery.counts["duplicated"]
    intact = {int(one.value) for one in sent if one.value.isdigit()}
    assert len(intact) >= count - delivery.counts["dropped"] - delivery.counts["corrupt"]
    assert delivery.lost_readings == delivery.counts["dropped"] + delivery.counts["corrupt"]
