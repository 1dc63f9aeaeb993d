"""From what is wanted to a Python that has it: moves pins until they fit, and tells what it moved."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from scoring.environments import interpreters, own
from scoring.environments.interpreters import Choice, Interpreter
from scoring.environments.relaxing import Pin, Reach, to_move
from scoring.environments.store import EnvironmentStore, Record
from scoring.environments.uv import Resolved
from scoring.environments.uv_words import Reason, Trouble, no_wheel_at_all, without_addresses
from scoring.environments.wanted import Note, Wanted, name_of
from scoring.errors import JobFailed

_ROUNDS = 60
_NEARER_TRIES = 12
_TELL_SECONDS = 5.0


class Installer(Protocol):
    """What `uv.Uv` does; see there."""

    def interpreters(self, check: Callable[[], None]) -> Sequence[Interpreter]: ...

    def fetched(self, minor: tuple[int, int], check: Callable[[], None]) -> Interpreter | None: ...

    def resolve(
        self,
        requirements: Sequence[str],
        *,
        options: Sequence[str],
        python: Interpreter,
        sources: Collection[str],
        preferred: Mapping[str, str],
        offline: bool,
        log: Path,
        check: Callable[[], None],
    ) -> Resolved | Reason: ...

    def has_foreign_wheel(
        self, line: str, *, options: Sequence[str], offline: bool, check: Callable[[], None]
    ) -> bool: ...

    def make(self, folder: Path, python: Interpreter, *, log: Path, check: Callable[[], None]) -> Reason | None: ...

    def install(
        self,
        folder: Path,
        resolved: Resolved,
        *,
        options: Sequence[str],
        sources: Collection[str],
        offline: bool,
        log: Path,
        check: Callable[[], None],
    ) -> Reason | None: ...


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A Python that has what was wanted; `is_own` where it is tidemill's.

    made_in  seconds that it took; None where it was there
    """

    python: str
    notes: tuple[Note, ...] = ()
    is_own: bool = False
    made_in: float | None = None
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Who is told, who may stop it.

    log    file that takes everything uv says, without addresses
    tell   takes what is being done, in words, now and then
    check  called many times a second; what it raises ends the preparation, and leaves nothing half-made
    """

    log: Path
    tell: Callable[[str], None]
    check: Callable[[], None]

    def note(self, line: str) -> None:
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC):%H:%M:%SZ} {without_addresses(line)}\n")


class Preparer:
    """Makes environments, each once, however many jobs ask for it."""

    def __init__(
        self,
        installer: Installer,
        store: EnvironmentStore,
        *,
        python: Interpreter,
        versions: Callable[[], Mapping[str, str]] = own.installed,
    ) -> None:
        """`python` is the one that tidemill runs on, `versions` what is installed there."""
        self._installer = installer
        self._store = store
        self._own = python
        self._versions = versions
        self._own_for: dict[str, tuple[Note, ...]] = {}

    def known(self, wanted: Wanted) -> Ready | None:
        """What `prepare` would give at once; None where something has to be made or looked for."""
        if wanted.is_empty:
            return Ready(python=self._own.path, notes=wanted.notes, is_own=True)
        if wanted.key in self._own_for:
            return Ready(python=self._own.path, notes=(*wanted.notes, *self._own_for[wanted.key]), is_own=True)
        record = self._store.find(wanted.key)
        return None if record is None else self._ready(record, wanted)

    def prepare(self, wanted: Wanted, watch: Watch) -> Ready:
        """Raises JobFailed with the line that matters and the mend, and whatever `watch.check` raises."""
        ready = self.known(wanted)
        if ready is not None:
            return ready
        choice = self._python(wanted, watch)
        if self._own_will_do(wanted, choice):
            self._own_for[wanted.key] = _python_note(wanted, choice)
        else:
            with self._store.locked(wanted.key, check=watch.check, tell=watch.tell):
                return self.known(wanted) or self._made(wanted, choice, watch)
        ready = self.known(wanted)
        assert ready is not None
        return ready

    def _own_will_do(self, wanted: Wanted, choice: Choice) -> bool:
        return choice.interpreter == self._own and not wanted.options and own.lacks(wanted, self._versions()) is None

    def _python(self, wanted: Wanted, watch: Watch) -> Choice:
        if wanted.python is None:
            return Choice(interpreter=self._own)
        choice = interpreters.nearest(wanted.python, [], self._own)
        if choice.moved is None:
            return choice
        watch.tell(f"looking for Python {wanted.python}")
        available = self._installer.interpreters(watch.check)
        choice = interpreters.nearest(wanted.python, available, self._own)
        minor = interpreters.asked_minor(wanted.python)
        if minor is not None and choice.interpreter.minor != minor:
            fetched = self._installer.fetched(minor, watch.check)
            if fetched is not None:
                choice = interpreters.nearest(wanted.python, [*available, fetched], self._own)
        return choice

    def _made(self, wanted: Wanted, choice: Choice, watch: Watch) -> Ready:
        begun = time.monotonic()
        watch.note(f"wanted: Python {wanted.python or 'any'}, {', '.join(wanted.requirements) or 'no packages'}")
        watch.note(f"Python {choice.interpreter.text} is used")
        # what tidemill has itself works on this machine, and mostly lies in uv's cache already
        preferred = self._versions() if choice.interpreter.minor == self._own.minor else {}
        search = _Search(self._installer, wanted, choice.interpreter, watch, preferred)
        with self._store.half_made(wanted.key) as folder:
            resolved = search.installed_into(folder)
            notes = (*_python_note(wanted, choice), *search.notes(resolved))
            record = Record(
                key=wanted.key,
                python=choice.interpreter.text,
                python_asked=wanted.python,
                asked=wanted.requirements,
                notes=notes,
                packages=resolved.lines,
                seconds=round(time.monotonic() - begun, 3),
                prepared_at=datetime.now(UTC).isoformat(),
            )
            watch.check()
            self._store.complete(folder, record)
        return replace(self._ready(record, wanted), made_in=record.seconds)

    def _ready(self, record: Record, wanted: Wanted) -> Ready:
        # those who share it may have come to it by other ways: what was read otherwise than written is each one's own
        notes = (*wanted.notes, *record.notes)
        return Ready(python=str(self._store.python(record.key)), notes=notes, key=record.key)


def _python_note(wanted: Wanted, choice: Choice) -> tuple[Note, ...]:
    return () if choice.moved is None else (Note(subject=f"python={wanted.python}", done=choice.moved),)


@dataclass
class _Search:
    """Moves pins until uv finds what fits and can install it."""

    installer: Installer
    wanted: Wanted
    python: Interpreter
    watch: Watch
    preferred: Mapping[str, str]
    pins: list[Pin] = field(init=False)
    sources: set[str] = field(default_factory=set)
    offline: bool = False
    _unbuildable: set[str] = field(default_factory=set)
    _why: dict[str, str] = field(default_factory=dict)
    _left_out: list[Note] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pins = [Pin(written=line) for line in self.wanted.requirements]

    def installed_into(self, folder: Path) -> Resolved:
        """Resolve and install. A version that cannot be built where it has no wheel is looked for once more."""
        for _ in range(_ROUNDS):
            resolved = self._nearest(self._fitting())
            count = len(resolved.lines)
            self.watch.tell(f"installing {count} package{'' if count == 1 else 's'}")
            reason = self.installer.make(folder, self.python, log=self.watch.log, check=self.watch.check)
            if reason is None:
                reason = self.installer.install(
                    folder,
                    resolved,
                    options=self.wanted.options,
                    sources=self.sources,
                    offline=self.offline,
                    log=self.watch.log,
                    check=self._told(f"installing {count} packages"),
                )
            if reason is None:
                return resolved
            self._take(reason)
        raise JobFailed(f"the environment could not be made: gave up after {_ROUNDS} tries")

    def notes(self, resolved: Resolved) -> tuple[Note, ...]:
        """What was moved and what was left out."""
        versions = resolved.versions
        moved = [
            Note(
                subject=pin.written,
                done=f"{versions.get(pin.name or '', 'another')} is used, {pin.reach.words}: "
                + self._why.get(pin.name or "", "as written it does not fit"),
            )
            for pin in self.pins
            if pin.reach is not Reach.AS_WRITTEN
        ]
        built = [
            Note(subject=name, done=f"{versions[name]} is built from its source: it has no wheel")
            for name in sorted(self.sources)
            if name in versions
        ]
        return (*self._left_out, *moved, *built)

    def _fitting(self) -> Resolved:
        for _ in range(_ROUNDS):
            names = len(self.pins)
            self.watch.tell(f"finding versions of {names} package{'' if names == 1 else 's'} that fit together")
            answer = self._resolved(self.pins)
            if isinstance(answer, Resolved):
                return answer
            self._take(answer)
        raise JobFailed(f"the environment could not be made: nothing fits together after {_ROUNDS} tries")

    def _nearest(self, resolved: Resolved) -> Resolved:
        """Put back pins that need not have been moved so far: uv's reasons name the innocent too."""
        tries = 0
        for number, pin in enumerate(self.pins):
            for nearer in pin.nearer:
                if tries >= _NEARER_TRIES:
                    return resolved
                tries += 1
                changed = [*self.pins[:number], nearer, *self.pins[number + 1 :]]
                answer = self._resolved(changed)
                if isinstance(answer, Resolved):
                    self.pins, resolved = changed, answer
                    break
                self._why[pin.name or ""] = answer.line
        return resolved

    def _resolved(self, pins: Sequence[Pin]) -> Resolved | Reason:
        if not pins:
            return Resolved(lines=())
        return self.installer.resolve(
            [pin.line for pin in pins],
            options=self.wanted.options,
            python=self.python,
            sources=self.sources,
            preferred=self.preferred,
            offline=self.offline,
            log=self.watch.log,
            check=self.watch.check,
        )

    def _take(self, reason: Reason) -> None:
        """Change something because of the reason. Raises JobFailed where nothing is left to change."""
        self.watch.note(f"does not work: {reason.line}")
        package = name_of(reason.package) if reason.package else None
        if reason.trouble is Trouble.UNREACHABLE and not self.offline:
            self.watch.note("trying with what was fetched before")
            self.offline = True
        elif reason.trouble is Trouble.NO_SUCH_PACKAGE and package is not None:
            self._without(package, reason)
        elif reason.trouble is Trouble.NOT_BUILT and package is not None and package in self.sources:
            self.sources.discard(package)
            self._unbuildable.add(package)
            self._move(reason, frozenset({package}) & to_move(self.pins, package))
        elif reason.trouble is Trouble.NO_SOURCE and package is not None and package in self.sources:
            self.sources.discard(package)
            self._unbuildable.add(package)
        elif reason.trouble is Trouble.NO_FIT:
            bare = self._only_a_source(reason)
            if bare is None:
                self._move(reason, to_move(self.pins, reason.line))
            else:
                self.watch.note(f"{bare} has no wheel: it is built from its source")
                self.sources.add(bare)
        else:
            raise _failed(reason)

    def _only_a_source(self, reason: Reason) -> str | None:
        """The package that has nothing but its source. uv says the same of one whose wheels are for other Pythons."""
        name, version = no_wheel_at_all(reason.line) or (None, None)
        if name is None or name in self._unbuildable | self.sources:
            return None
        is_compiled = self.installer.has_foreign_wheel(
            name if version is None else f"{name}=={version}",
            options=self.wanted.options,
            offline=self.offline,
            check=self.watch.check,
        )
        return None if is_compiled else name

    def _move(self, reason: Reason, names: frozenset[str]) -> None:
        if not names:
            raise _failed(reason)
        for number, pin in enumerate(self.pins):
            farther = pin.farther if pin.name in names else None
            if farther is not None:
                self.watch.note(f"{pin.line} -> {farther.line}")
                self.pins[number] = farther
                self._why.setdefault(pin.name or "", reason.line)

    def _without(self, package: str, reason: Reason) -> None:
        for pin in self.pins:
            if pin.name == package and pin.written in self.wanted.optional:
                self.pins.remove(pin)
                self._left_out.append(Note(subject=pin.written, done="left out: no registry of Python packages has it"))
                return
        raise _failed(reason)

    def _told(self, words: str) -> Callable[[], None]:
        """`check` that also tells how long it has been."""
        begun = time.monotonic()
        told = [begun]

        def check() -> None:
            self.watch.check()
            now = time.monotonic()
            if now - told[0] > _TELL_SECONDS:
                told[0] = now
                self.watch.tell(f"{words} ({now - begun:.0f} s)")

        return check


_MENDS = {
    Trouble.NO_SUCH_PACKAGE: "check its name in conda_file, conda's names may differ from those of Python's registries",
    Trouble.NO_FIT: "loosen the versions in conda_file",
    Trouble.NOT_BUILT: "ask for a version that has a wheel, or install what its build needs",
    Trouble.UNREACHABLE: "invoke again when it can be reached",
    Trouble.NO_SPACE: "make room, or remove environments that no deployment needs",
}


def _failed(reason: Reason) -> JobFailed:
    mend = _MENDS.get(reason.trouble)
    return JobFailed(f"the environment could not be made: {reason.line}" + (f"; {mend}" if mend else ""))
