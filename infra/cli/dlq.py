"""`tidemill dlq`: look at dead letters, replay them after a fix, discard them."""

from __future__ import annotations

import getpass
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from infra.cli.answer import Answer, answering
from infra.cli.failures import WaitedTooLong
from infra.cli.times import Moment
from infra.settings import Settings

if TYPE_CHECKING:
    from infra.letters import LetterSource
    from ingestion.counted_letters import CountedLetters, LetterId
    from ingestion.letter_desk import LetterCase

_SHOWN_BYTES = 2000
_STATES = ("open", "replaying", "replayed", "discarded", "double")


@click.group(help="Dead letters: list, show, replay after a fix, discard. A letter is named `partition/offset`.")
def dlq() -> None:
    pass


class Letter(click.ParamType):
    """A letter's name: `2/17`."""

    name = "letter"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> LetterId:
        from ingestion.counted_letters import LetterId

        partition, slash, offset = str(value).partition("/")
        if not (slash and partition.isdecimal() and offset.isdecimal()):
            self.fail(f"{value!r} is no letter; write its partition and offset, e.g. 2/17", param, ctx)
        return LetterId(int(partition), int(offset))


class Object(click.ParamType):
    """A JSON object."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        try:
            found = json.loads(value)
        except ValueError as error:
            self.fail(f"{value!r} is not JSON: {error}", param, ctx)
        if not isinstance(found, dict):
            self.fail(f"{value!r} is not a JSON object; write e.g. '{{\"value\": 3.2}}'", param, ctx)
        return found


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--until", type=Moment(), help="Stored before this time; or so long ago."),
        click.option("--since", type=Moment(), help="Stored at or after this time; or so long ago at most."),
        click.option("--machine", metavar="NAME", help="Whose key is this machine."),
        click.option("--partition", type=click.IntRange(min=0), help="Of this partition."),
        click.option("--reason", "reasons", multiple=True, help="Refused for this reason; may be given again."),
    ):
        command = option(command)
    return command


def of_letters(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--topic", metavar="TOPIC", help="Letters of this topic; default the readings'.")(command)
    return click.option("--stream", metavar="NAME", help="Letters that this defined stream alone refused.")(command)


def _source(stream: str | None, topic: str | None) -> LetterSource:
    from infra.letters import letters_of

    if stream is not None and topic is not None:
        raise click.UsageError("give --stream or --topic, not both")
    return letters_of(Settings(), stream=stream, topic=topic)


def _wanted(
    *,
    reasons: tuple[str, ...],
    machine: str | None,
    since: datetime | timedelta | None,
    until: datetime | timedelta | None,
    states: tuple[str, ...],
) -> Callable[[LetterCase], bool]:
    now = datetime.now(UTC)
    first, last = (now - at if isinstance(at, timedelta) else at for at in (since, until))

    def is_wanted(case: LetterCase) -> bool:
        letter = case.letter
        return (
            (not reasons or letter.reason in reasons)
            and (machine is None or letter.machine == machine)
            and (first is None or letter.stored_at >= first)
            and (last is None or letter.stored_at < last)
            and (not states or case.state in states)
        )

    return is_wanted


@dlq.command("list")
@of_letters
@filters
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="In this state; may be given again.")
@click.option("--counts", is_flag=True, help="Numbers by reason and state instead of letters.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="Show this many at most.")
@answering
def list_command(
    answer: Answer,
    stream: str | None,
    topic: str | None,
    partition: int | None,
    counts: bool,
    limit: int,
    **wanted: Any,
) -> None:
    """Letters with their reason, origin and state, by partition and offset."""
    from infra.letters import letter_desk

    is_wanted = _wanted(**wanted)
    rows: list[dict[str, Any]] = []
    numbers: Counter[tuple[str, str]] = Counter()
    with letter_desk(Settings(), _source(stream, topic)) as desk:
        for case in desk.cases(partition):
            if is_wanted(case):
                numbers[case.letter.reason, case.state] += 1
                if len(rows) < limit and not counts:
                    rows.append(_row(case))
    if counts:
        rows = [{"reason": r, "state": state, "letters": n} for (r, state), n in sorted(numbers.items())]
    elif (total := numbers.total()) > len(rows):
        print(f"{len(rows)} of {total} letters are shown; see --limit and --counts", file=sys.stderr)
    answer.show(rows, lambda: _table(rows))


@dlq.command("show")
@of_letters
@click.argument("letter", type=Letter())
@answering
def show_command(answer: Answer, stream: str | None, topic: str | None, letter: LetterId) -> None:
    """All that is known of one letter, and the original bytes, with what cannot be printed written as escapes."""
    from infra.letters import letter_desk

    with letter_desk(Settings(), _source(stream, topic)) as desk:
        case = desk.case(letter)
    held, decision = case.letter, case.decision
    shown = {
        **_row(case),
        "origin": {"topic": held.origin[0], "partition": held.origin[1], "offset": held.origin[2]},
        "rows": None if held.rows is None else list(held.rows),
        "replay_of": held.replay_of,
        "original_size": held.original_size,
        "key": _safe(held.key),
        "value": _safe(held.value),
        "decision": None
        if decision is None
        else {
            "action": decision.action,
            "by": decision.by,
            "why": decision.why,
            "decided_at": decision.decided_at.isoformat(),
            "partition": decision.partition,
            "key": _safe(decision.key),
            "patch": decision.patch,
        },
    }

    def lines() -> Iterator[str]:
        for name, told in shown.items():
            if told is not None:
                yield f"{name:<14} {told if isinstance(told, str) else json.dumps(told)}"

    answer.show(shown, lines)


def choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    command = of_letters(filters(command))
    command = click.option("--by", metavar="NAME", help="Who decides; default the user of this process.")(command)
    command = click.option("--all", "all_open", is_flag=True, help="All open letters that the filters let through.")(
        command
    )
    return click.argument("letters", nargs=-1, type=Letter())(command)


@dlq.command("replay")
@choosing
@click.option("--key", metavar="MACHINE", help="Key of the message, in place of its own.")
@click.option("--patch", type=Object(), metavar="JSON", help="A JSON merge patch (RFC 7396) of the reading.")
@click.option("--why", metavar="TEXT", help="Noted with the decision.")
@click.option("--wait", "wait_seconds", type=float, metavar="SECONDS", help="Wait until the stream has counted them.")
@answering
def replay_command(
    answer: Answer,
    letters: tuple[LetterId, ...],
    all_open: bool,
    stream: str | None,
    topic: str | None,
    partition: int | None,
    by: str | None,
    key: str | None,
    patch: dict[str, Any] | None,
    why: str | None,
    wait_seconds: float | None,
    **wanted: Any,
) -> None:
    """Publish letters to their topic again: the message as it was, or the refused rows alone of a batch message.

    Each counts once, however often this is called or killed: a letter that is on its way is published again, one that
    has been counted is left out. What is refused again becomes a letter of its own.
    """
    from infra.letters import letter_desk

    source = _source(stream, topic)
    with letter_desk(Settings(), source) as desk:
        # those that were decided by a command that died are carried out by the next
        chosen = _chosen(desk.cases, letters, all_open, partition, wanted, states=("open", "replaying"))
        done = desk.replay(
            chosen,
            by=by or getpass.getuser(),
            why=why,
            key=None if key is None else key.encode(),
            patch=patch,
            passes_over=all_open,
        )
    if wait_seconds is not None:
        _wait(lambda: _not_in(source.counted(), done.letters), wait_seconds)
    rows = [{"letter": str(letter), "result": "replayed"} for letter in done.letters]
    rows += [{"letter": str(letter), "result": why_not} for letter, why_not in done.passed_over.items()]

    def lines() -> Iterator[str]:
        yield f"replayed {len(done.letters)} of {len(chosen)} letters"
        for letter, why_not in done.passed_over.items():
            yield f"{letter}: {why_not}"

    answer.show(rows, lines)


@dlq.command("discard")
@choosing
@click.option("--why", metavar="TEXT", required=True, help="Noted with the decision.")
@answering
def discard_command(
    answer: Answer,
    letters: tuple[LetterId, ...],
    all_open: bool,
    stream: str | None,
    topic: str | None,
    partition: int | None,
    by: str | None,
    why: str,
    **wanted: Any,
) -> None:
    """Mark letters as done with: they stay in the topic, and are not open any more."""
    from infra.letters import letter_desk

    with letter_desk(Settings(), _source(stream, topic)) as desk:
        chosen = _chosen(desk.cases, letters, all_open, partition, wanted, states=("open", "double"))
        gone = desk.discard(chosen, by=by or getpass.getuser(), why=why)
    rows = [{"letter": str(letter), "result": "discarded"} for letter in gone]
    answer.show(rows, lambda: iter([f"discarded {len(gone)} of {len(chosen)} letters; the rest had been before"]))


def _chosen(
    cases: Callable[[int | None], Iterator[LetterCase]],
    letters: tuple[LetterId, ...],
    all_open: bool,
    partition: int | None,
    wanted: dict[str, Any],
    *,
    states: tuple[str, ...],
) -> list[LetterId]:
    if bool(letters) == all_open:
        raise click.UsageError("name letters, or give --all (with filters)")
    if letters:
        if partition is not None or any(wanted.values()):
            raise click.UsageError("filters go with --all, not with letters")
        return list(letters)
    is_wanted = _wanted(**wanted, states=states)
    return [case.letter.id for case in cases(partition) if is_wanted(case)]


def _not_in(counted: CountedLetters, letters: Sequence[LetterId]) -> list[LetterId]:
    return [letter for letter in letters if letter not in counted]


def _wait(left: Callable[[], list[LetterId]], seconds: float) -> None:
    end = time.monotonic() + seconds
    while waiting := left():
        if time.monotonic() >= end:
            raise WaitedTooLong(
                f"waited {seconds:g} s for the stream to count {len(waiting)} letters, e.g. {waiting[0]}"
            )
        time.sleep(0.2)


def _row(case: LetterCase) -> dict[str, Any]:
    letter = case.letter
    return {
        "letter": str(letter.id),
        "state": case.state,
        "reason": letter.reason,
        "machine": None if letter.machine is None else _printable(letter.machine),
        "stored_at": letter.stored_at.isoformat(timespec="milliseconds"),
        "bytes": len(letter.value or b"") if letter.original_size is None else letter.original_size,
        "detail": _printable(letter.detail),
    }


def _safe(data: bytes | None) -> str | None:
    if data is None:
        return None
    cut = data[:_SHOWN_BYTES]
    text = _printable(cut.decode(errors="backslashreplace"))
    return text if len(cut) == len(data) else f"{text}… ({len(data):,} bytes)"


def _printable(text: str) -> str:
    # a terminal must not be told anything by what somebody sent
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        print("no letters", file=sys.stderr)
        return
    names = list(rows[0])
    cells = [["" if row[name] is None else str(row[name])[:80] for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    for line in [names, *cells]:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
