"""Laws of requirements: reading never breaks, moving a pin only widens it, the nearest comes first."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version

from scoring.environments.conda import wanted_of_conda
from scoring.environments.interpreters import Interpreter, nearest
from scoring.environments.relaxing import Pin, to_move
from scoring.environments.requirements import parse_lines
from scoring.environments.uv_words import why, without_addresses
from scoring.environments.wanted import Wanted
from scoring.errors import InvalidInput

numbers = st.integers(0, 30)
versions = st.lists(numbers, min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
names = st.from_regex(r"[a-z][a-z0-9]{0,6}(?:[-_.][a-z0-9]{1,4})?", fullmatch=True)
conditions = st.one_of(
    versions.map(lambda version: f"=={version}"),
    versions.map(lambda version: f"=={version}.*"),
    st.lists(numbers, min_size=2, max_size=4).map(lambda parts: "~=" + ".".join(map(str, parts))),
    st.tuples(versions, versions).map(lambda pair: f">={pair[0]},<{pair[1]}"),
    versions.map(lambda version: f"!={version}"),
    st.just(""),
)
lines = st.builds("{}{}".format, names, conditions)


def chain(line: str) -> list[Pin]:
    pins = [Pin(written=line)]
    while (pin := pins[-1].farther) is not None:
        pins.append(pin)
    return pins


def read_or_refused(read: Callable[[], Wanted], place: str) -> Wanted | None:
    """None for what was refused, with the place of it; any other error fails the test."""
    refused = ""
    try:
        return read()
    except InvalidInput as error:
        refused = str(error)
    assert refused.startswith(place)
    return None


@given(lines, versions)
def test_each_step_takes_all_that_the_step_before_took(line: str, version: str) -> None:
    taken = [Requirement(pin.line).specifier.contains(version, prereleases=True) for pin in chain(line)]
    assert taken == sorted(taken)
    assert taken[-1] or chain(line)[-1].farther is None


@given(lines)
def test_the_last_step_takes_any_version_and_keeps_the_name(line: str) -> None:
    pins = chain(line)
    assert len(pins) <= 4
    assert str(Requirement(pins[-1].line).specifier) == ""
    assert len({pin.name for pin in pins}) == 1
    for number, pin in enumerate(pins):
        assert [one.line for one in pin.nearer] == [one.line for one in pins[:number]]


@given(st.lists(numbers, min_size=2, max_size=4))
def test_the_pinned_version_itself_stays_allowed(parts: list[int]) -> None:
    version = ".".join(map(str, parts))
    for pin in chain(f"a=={version}"):
        assert Requirement(pin.line).specifier.contains(Version(version))


@given(st.lists(lines, max_size=5), st.text(max_size=200))
def test_whatever_is_said_only_what_can_move_is_moved(written: list[str], reason: str) -> None:
    pins = [Pin(written=line) for line in written]
    movable = {pin.name for pin in pins if pin.farther is not None}
    moved = to_move(pins, reason)
    assert moved <= movable
    assert bool(moved) == bool(movable)


@given(st.lists(st.one_of(lines, st.text(max_size=30)), max_size=6))
def test_any_lines_are_read_or_refused(written: list[str]) -> None:
    found = read_or_refused(lambda: parse_lines(written, place="r.txt").wanted(), "r.txt:")
    if found is None:
        return
    again = parse_lines(found.requirements, place="again").wanted()
    assert again.requirements == found.requirements


plain = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20), lines)
entries = st.one_of(
    plain, st.dictionaries(st.sampled_from(["pip", "conda"]), st.one_of(plain, st.lists(plain, max_size=4)))
)


@given(
    st.dictionaries(
        st.sampled_from(["name", "channels", "dependencies", "x"]), st.one_of(plain, st.lists(entries, max_size=5))
    )
)
def test_any_conda_file_is_read_or_refused(document: dict[str, object]) -> None:
    wanted = read_or_refused(lambda: wanted_of_conda(document), "conda_file")
    if wanted is None:
        return
    assert wanted.key == wanted_of_conda(document).key
    assert wanted.optional <= set(wanted.requirements)


@given(st.text(max_size=300), st.from_regex(r"https?://[a-z]{3,8}\.[a-z]{2,3}/[a-z]{1,6}", fullmatch=True))
def test_no_address_gets_through(text: str, address: str) -> None:
    assert address not in without_addresses(f"{text} {address} {text}")
    line = why(f"{text}\n  cause: {address}\n").line
    assert address not in line
    assert "\n" not in line


@given(
    st.sampled_from(["3.8", "3.9.1", "3.12", "3.15", "2.7", ">=3.8", "<3.9"]),
    st.lists(st.tuples(st.just(3), st.integers(4, 15), numbers), max_size=6),
)
def test_the_nearest_python_is_one_that_workers_can_run_in(wanted: str, there: list[tuple[int, int, int]]) -> None:
    own = Interpreter(version=(3, 11, 7), path="own")
    available = [Interpreter(version=version, path=str(version)) for version in there]
    chosen = nearest(wanted, available, own).interpreter
    assert chosen in [own, *available]
    assert chosen.minor >= (3, 8)
