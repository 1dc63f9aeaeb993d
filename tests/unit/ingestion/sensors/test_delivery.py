"""Messages that go astray."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from ingestion.codec import encode_batch, encode_reading
from ingestion.errors import InvalidInput, PoisonMessage
from ingestion.json_batches import decode
from ingestion.reading import Reading, to_record_batch
from ingestion.sensors.delivery import Delivery, DeliveryShares, Message, corrupt

SECOND_US = 1_000_000


def messages(count: int) -> list[Message]:
    return [Message(key=b"m", value=str(number).encode(), event_us=number * SECOND_US) for number in range(count)]


def passed(shares: DeliveryShares, count: int = 5000, seed: int = 4) -> tuple[list[int], Delivery]:
    delivery = Delivery(shares, seed=seed)
    sent = [one for message in messages(count) for one in delivery.pass_on(message)]
    sent += delivery.drain()
    return [int(one.value) for one in sent], delivery


def test_without_shares_everything_passes_as_it_is() -> None:
    assert passed(DeliveryShares())[0] == list(range(5000))


def test_dropped_messages_are_gone_and_counted() -> None:
    sent, delivery = passed(DeliveryShares(dropped=0.1))
    assert len(sent) == 5000 - delivery.counts["dropped"]
    assert 400 < delivery.counts["dropped"] == delivery.lost_readings < 600
    assert sent == sorted(set(sent))


def test_duplicates_come_twice() -> None:
    sent, delivery = passed(DeliveryShares(duplicated=0.1))
    assert len(sent) == 5000 + delivery.counts["duplicated"]
    assert sorted(set(sent)) == list(range(5000))


def test_late_messages_come_minutes_after_their_time_and_none_is_lost() -> None:
    sent, delivery = passed(DeliveryShares(late=0.1))
    assert sorted(sent) == list(range(5000))
    behind = lateness(sent)
    late = behind[behind > 0]
    # those held at the end are drained early
    assert (late >= 179).mean() > 0.7
    assert late.max() <= 600
    assert len(late) <= delivery.counts["late"]


def test_out_of_order_messages_are_overtaken_by_seconds() -> None:
    sent, _ = passed(DeliveryShares(out_of_order=0.2))
    assert sorted(sent) == list(range(5000))
    behind = lateness(sent)
    assert 0 < behind.max() <= 20


def lateness(sent: list[int]) -> np.ndarray:
    return np.maximum.accumulate(sent) - np.asarray(sent)


def test_fates_are_the_seeds() -> None:
    shares = DeliveryShares(late=0.05, out_of_order=0.05, duplicated=0.05, dropped=0.05, corrupt=0.0)
    assert passed(shares, seed=1)[0] == passed(shares, seed=1)[0]
    assert passed(shares, seed=1)[0] != passed(shares, seed=2)[0]


@pytest.mark.parametrize("choice", np.linspace(0, 1, 25))
@pytest.mark.parametrize("encoding", ["json", "arrow"])
def test_corrupt_bytes_never_yield_a_good_reading(choice: float, encoding: str) -> None:
    reading = Reading(
        machine_id="north-pump-01",
        sensor_id="north-pump-01/flow",
        event_time=datetime(2026, 3, 1, tzinfo=UTC),
        value=104.2,
        unit="m3/h",
        sequence=3,
    )
    value = encode_reading(reading) if encoding == "json" else encode_batch(to_record_batch([reading]))
    spoiled = corrupt(value, float(choice))
    assert spoiled != value
    try:
        row = decode(spoiled).to_pylist()[0]
    except PoisonMessage:
        return
    # well-formed, but with a clock that the stream refuses
    assert row["event_time"].year in (1970, 2099)


@pytest.mark.parametrize("wrong", [{"late": -0.1}, {"late": 1.1}, {"late": 0.6, "dropped": 0.6}], ids=str)
def test_impossible_shares_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="allowed"):
        DeliveryShares(**wrong)
