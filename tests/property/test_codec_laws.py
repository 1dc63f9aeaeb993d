"""Whatever comes over the wire is read, or refused with a known reason: no other exception, no crash."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.codec import REASONS, encode_batch, encode_reading
from ingestion.errors import PoisonMessage
from ingestion.intake import sift
from ingestion.json_batches import decode
from ingestion.reading import READING_SCHEMA, Reading, to_record_batch
from ingestion.records import Message, Records
from ingestion.settings import StreamSettings
from tests.effort import examples

text = st.text(min_size=1, max_size=20)
readings = st.builds(
    Reading,
    machine_id=text,
    sensor_id=text,
    event_time=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    value=st.floats(allow_nan=False, allow_infinity=False),
    unit=st.one_of(st.none(), text),
    sequence=st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
)
GOOD = Reading(machine_id="m", sensor_id="m/a", event_time=datetime(2026, 3, 1, tzinfo=UTC), value=1.5, unit="bar")
VALID = (encode_reading(GOOD), encode_batch(to_record_batch([GOOD, GOOD, GOOD])))


@given(st.lists(readings, max_size=5))
def test_round_trips(rows: list[Reading]) -> None:
    batch = to_record_batch(rows)
    assert decode(encode_batch(batch)).to_pylist() == batch.to_pylist()
    for row in rows:
        assert decode(encode_reading(row)).to_pylist() == to_record_batch([row]).to_pylist()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    value = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(value) - 1))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            value[place] = draw(st.integers(0, 255))
        elif kind == 1:
            value[place : place + 4] = draw(st.sampled_from([b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff" * 4]))
        elif kind == 2 and place > 8:
            del value[place:]
        else:
            value[place:place] = draw(st.binary(max_size=8))
    return bytes(value)


wild = st.one_of(
    damaged(),
    st.binary(max_size=200),
    st.binary(max_size=200).map(lambda tail: b"\xff\xff\xff\xff" + tail),
    st.binary(max_size=100).map(lambda tail: b"{" + tail),
)


@settings(max_examples=examples(500), deadline=None)
@given(wild)
def test_damage_is_refused_with_a_known_reason(value: bytes) -> None:
    reason = None
    try:
        batch = decode(value)
    except PoisonMessage as refused:
        reason = refused.reason
    else:
        assert batch.schema.names == READING_SCHEMA.names
        batch.validate(full=True)
    assert reason is None or reason in REASONS


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.tuples(st.one_of(st.none(), st.just(b"m"), st.binary(max_size=3)), wild), max_size=6))
def test_the_intake_accounts_for_every_message(messages: list[tuple[bytes | None, bytes]]) -> None:
    stamp = int((datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=1)).timestamp() * 1000)
    sent = [Message(offset, stamp, key, value) for offset, (key, value) in enumerate(messages)]
    intake = sift(0, Records.of(sent), StreamSettings())
    seen = set(intake.offsets.tolist()) | {letter.message.offset for letter in intake.dead_letters}
    for message in sent:
        if message.offset not in seen:
            # a well-formed Arrow stream without rows is the only message that leaves no trace
            with suppress(PoisonMessage):
                assert decode(message.value or b"").num_rows == 0
    whole = [letter.message.offset for letter in intake.dead_letters if letter.rows is None]
    assert len(whole) == len(set(whole))
    assert sum(intake.refused.values()) == len(whole) + sum(
        len(letter.rows) for letter in intake.dead_letters if letter.rows is not None
    )
