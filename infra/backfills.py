"""Where a backfill's ports meet their adapters."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from infra.settings import Settings
from infra.stream_definitions import StreamDefinitions
from infra.wiring import defined_streams
from infra.wiring.broker import kafka_bootstrap
from ingestion.errors import InvalidInput

if TYPE_CHECKING:
    from ingestion.backfill.engine import BackfillReport, BackfillSpec, SettledUntil
    from ingestion.backfill.reads import EventRange, Kept, Read
    from ingestion.checkpoint import State
    from ingestion.definition import StreamDefinition
    from ingestion.recording import Recording
    from ingestion.settings import StreamSettings
    from ingestion.shape import WindowShape
    from ingestion.window import Window
    from storage.lake.tables import LakeTable

_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")


@dataclass(frozen=True, kw_only=True)
class BackfillWish:
    """What somebody asks for.

    recording  read instead of Kafka
    into       a table of another name than the stream's own
    replaces   windows that differ from the table's become a new revision
    piece_rows  rows that are compared and committed at a time; None: as many as do no harm
    """

    stream: str
    span: EventRange
    recording: Recording | None = None
    into: str | None = None
    replaces: bool = False
    is_dry_run: bool = False
    piece_rows: int | None = None


@dataclass(frozen=True, kw_only=True)
class BackfillAnswer:
    """The tables' names, what was read of each partition, and what came of it."""

    windows: str
    late: str
    reads: Sequence[Read]
    report: BackfillReport


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """The stream that is backfilled, and where its rows go.

    is_own      into the tables that the live stream writes
    partitions  of the topic, as far as the settings know
    """

    stream: StreamSettings
    definition: StreamDefinition | None
    shape: WindowShape
    windows: LakeTable
    late: LakeTable
    is_own: bool
    partitions: int | None


def backfill(
    settings: Settings,
    wish: BackfillWish,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[BackfillReport], None] = lambda report: None,
    step: Callable[[str], None] = lambda name: None,
) -> BackfillAnswer:
    """Carry it out. Raises InvalidInput for a wish that cannot be met, Fenced where another is at it, TryAgain."""
    from ingestion.backfill.engine import Backfill, nobody_else_writes
    from ingestion.pipeline import Pipeline
    from storage.lake.backfill_table import LakeBackfillTable, only_backfill

    subject = _subject(settings, wish)
    stream, definition = subject.stream, subject.definition
    prepared = None if definition is None else defined_streams.preparation(settings, definition)
    # no clock says that a machine is silent: what is open at the end is closed there
    timeless = replace(stream, idle_timeout=timedelta(0))
    if wish.piece_rows is not None:
        timeless = replace(timeless, commit_readings=wish.piece_rows)
    with ExitStack() as held:
        name = subject.windows.name
        held.enter_context(only_backfill(settings.paths.run / f"backfill-{name}.lock", name))
        table = LakeBackfillTable(
            settings.paths.lake, stream=stream.name, windows=subject.windows, late=subject.late, step=step
        )
        states = _states(settings, subject) if subject.is_own else {}
        reads = _reads(settings, wish, subject, states, held)
        engine = Backfill(
            _spec(wish, subject),
            table,
            lambda sink, letters: Pipeline(timeless, sink, letters, preparation=prepared),
            settled_until=_settled(states, wish) if subject.is_own else nobody_else_writes,
            step=step,
        )
        report = engine.run(reads, stop=stop, progress=progress)
    return BackfillAnswer(windows=subject.windows.name, late=subject.late.name, reads=reads, report=report)


def _subject(settings: Settings, wish: BackfillWish) -> _Subject:
    from ingestion.definition import LATE_SUFFIX
    from ingestion.definition_document import BUILT_IN
    from storage.lake.stream_tables import StreamTables
    from storage.lake.tables import LATE_READINGS, WINDOWS

    definition = None if wish.stream == BUILT_IN else StreamDefinitions(settings).get(wish.stream)
    if definition is None:
        stream, shape, windows, late = settings.stream, settings.stream.shape, WINDOWS, LATE_READINGS
    else:
        if definition.fields and wish.recording is not None:
            raise InvalidInput(
                f"stream {definition.name} reads {', '.join(one.name for one in definition.fields)} of messages, and "
                "recorded files have none of it; backfill it from Kafka"
            )
        tables = StreamTables.of(definition)
        tables.check(settings.paths.lake)
        stream, shape = defined_streams.settings_of(settings, definition), definition.shape
        windows, late = tables.windows, tables.late
    is_own = wish.into is None or wish.into == windows.name
    if wish.into is not None and not is_own:
        windows = replace(windows, name=wish.into)
        late = replace(late, name=wish.into + LATE_SUFFIX)
        _check_into(settings, wish.into, (windows, late))
    return _Subject(
        stream=stream,
        definition=definition,
        shape=shape,
        windows=windows,
        late=late,
        is_own=is_own,
        partitions=settings.partitions if stream.topics.readings == settings.readings_topic else None,
    )


def _check_into(settings: Settings, into: str, tables: Sequence[LakeTable]) -> None:
    from storage.lake.stream_tables import columns_of, differences
    from storage.lake.tables import TABLES

    if not _TABLE_NAME.fullmatch(into):
        raise InvalidInput(
            f"--into {into!r} is no name of a table; give small letters, digits and underscores, e.g. windows_again"
        )
    streams = {one.definition.table: one.name for one in StreamDefinitions(settings).all() if one.definition}
    if into in TABLES or into in streams:
        whose = f"the stream {streams[into]}" if into in streams else "tidemill itself"
        raise InvalidInput(f"--into {into}: this table is that of {whose}; name another")
    for table in tables:
        found = columns_of(table.path(settings.paths.lake))
        differing = [] if found is None else differences(found, table.schema)
        if differing:
            raise InvalidInput(
                f"--into {into}: the lake has a table {table.name} with other columns: {'; '.join(differing)}; "
                "name another"
            )


def _spec(wish: BackfillWish, subject: _Subject) -> BackfillSpec:
    from ingestion.backfill.engine import BackfillSpec
    from ingestion.window import SessionWindow

    window = subject.shape.window
    spec = BackfillSpec(
        span=wish.span,
        # the built-in stream's windows are corrected for all sensors of a machine together
        window=(*(("machine_id",) if subject.definition is None else subject.shape.key), "window_start"),
        is_recorded=wish.recording is not None,
        replaces=wish.replaces,
        is_dry_run=wish.is_dry_run,
    )
    if wish.piece_rows is not None:
        spec = replace(spec, piece_rows=wish.piece_rows)
    if isinstance(window, SessionWindow) and window.correction_lateness:
        # a correction may move a session's end: no row of it tells when it is settled
        spec = replace(spec, piece_rows=sys.maxsize)
    return spec


def _reads(
    settings: Settings, wish: BackfillWish, subject: _Subject, states: Mapping[int, State], held: ExitStack
) -> Sequence[Read]:
    """What is to be folded; with the live stream's own table no further than it has come itself."""
    from ingestion.backfill.reads import reads_of
    from ingestion.backfill.recorded import read_of
    from ingestion.kafka.history import KafkaHistory

    is_begun = subject.partitions is not None and states.keys() >= set(range(subject.partitions))
    history = kept = None
    if wish.recording is None or (subject.is_own and not is_begun):
        history = KafkaHistory(kafka_bootstrap(settings), subject.stream.topics.readings)
        held.enter_context(closing(history))
        kept = history.kept()
        if subject.is_own:
            _check_begun(subject, states, kept)
    reach = _reach(subject.shape.window, wish.span)
    if wish.recording is not None:
        return [read_of(wish.recording, wish.span, reach=reach)]
    assert history is not None
    ends = {partition: state.head.next_offset for partition, state in states.items()} if subject.is_own else None
    skew = subject.stream.max_future_skew
    reads = reads_of(history, wish.span, ends=ends, max_future_skew=skew, reach=reach)
    _check_kept(wish.span, reads, subject)
    return reads


def _reach(window: Window, span: EventRange) -> timedelta:
    """How far before its begin a window depends on readings."""
    from ingestion.codec import EPOCH
    from ingestion.window import SessionWindow

    # whether a reading joins a session, begins one or is late depends on the one before, and so on
    return span.since - EPOCH if isinstance(window, SessionWindow) else timedelta(0)


def _states(settings: Settings, subject: _Subject) -> Mapping[int, State]:
    """Of each partition that the live stream has committed, its state as of one version of its table."""
    from ingestion.checkpoint import unpack
    from ingestion.preparation import Preparation
    from storage.lake.stream_state import partitions_with_state, read_states

    home, name, topic = settings.paths, subject.stream.name, subject.stream.topics.readings
    partitions = subject.partitions or partitions_with_state(home.stream_state, name, topic)
    found = read_states(home.lake, home.stream_state, name, topic, partitions, table=subject.windows)
    if subject.definition is not None:
        for state in found.values():
            Preparation(definition=subject.definition, rows=None).check(state)
    return {partition: unpack(state) for partition, state in found.items()}


def _check_begun(subject: _Subject, states: Mapping[int, State], kept: Mapping[int, Kept]) -> None:
    waiting = sorted(partition for partition, of in kept.items() if partition not in states and of.end)
    if waiting:
        raise InvalidInput(
            f"the stream {subject.stream.name} has not read partition {waiting[0]} of "
            f"{subject.stream.topics.readings} yet, and will make its windows itself; let it begin (`tidemill up`), or "
            "write to another table with --into"
        )


def _check_kept(span: EventRange, reads: Sequence[Read], subject: _Subject) -> None:
    from ingestion.backfill.reads import NEVER
    from ingestion.window import SessionWindow

    if reads and all(read.identical_from >= span.until for read in reads):
        first = min(read.identical_from for read in reads)
        told = f"keeps enough for windows from {first.isoformat()} on"
        if first == NEVER:
            told = "keeps no message"
        elif isinstance(subject.shape.window, SessionWindow):
            told = "has lost messages, and sessions depend on all that came before them"
        raise InvalidInput(
            f"the topic {told}, and the range ends at {span.until.isoformat()}; backfill from recorded files "
            "(--recordings)"
        )


def _settled(states: Mapping[int, State], wish: BackfillWish) -> SettledUntil:
    """What the live stream has settled. A machine that it never met is nobody's, if it comes from recorded files."""
    from ingestion.backfill.engine import nobody_else_writes
    from ingestion.watermark import NEVER

    known: dict[str, int] = {}
    for partition, state in states.items():
        if "settled_us" not in state.machines.column_names:
            raise InvalidInput(
                f"the stream's state of partition {partition} was written by an older version; let the stream run "
                "until it has committed once"
            )
        names, moments = state.machines["machine_id"].to_pylist(), state.machines["settled_us"].to_pylist()
        known.update(zip(names, moments, strict=True))
    unmet = NEVER if wish.recording is None else nobody_else_writes("")
    return lambda machine: known.get(machine, unmet)
