"""Environments made by the real uv, from wheels of a folder."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from scoring.environments.conda import wanted_of_conda
from scoring.environments.interpreters import Interpreter
from scoring.environments.preparing import Preparer, Ready, Watch
from scoring.environments.store import EnvironmentStore
from scoring.environments.uv import Uv
from scoring.environments.wanted import Wanted
from scoring.errors import JobFailed
from tests.wheels import FOREIGN, only_from, wheel

OWN = Interpreter(version=sys.version_info[:3], path=sys.executable)


class Place:
    """One registry, one store, and what was told."""

    def __init__(self, folder: Path) -> None:
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        self.store = EnvironmentStore(folder / "environments")
        self.log = folder / "log.txt"
        self.told: list[str] = []
        uv = Uv(environment=only_from(self.wheels, folder / "cache"))
        self.preparer = Preparer(uv, self.store, python=OWN, versions=lambda: {"numpy": "2.0"})

    def has(self, name: str, *versions: str, tag: str = "py3-none-any", requires: tuple[str, ...] = ()) -> None:
        for version in versions:
            wheel(self.wheels, name, version, tag=tag, requires=requires)

    def prepare(self, *dependencies: object, check: Callable[[], None] = lambda: None) -> Ready:
        return self.preparer.prepare(wanted(*dependencies), Watch(log=self.log, tell=self.told.append, check=check))

    def notes(self, *dependencies: object) -> list[str]:
        return [str(note) for note in self.prepare(*dependencies).notes]


def wanted(*dependencies: object) -> Wanted:
    return wanted_of_conda({"name": "test", "dependencies": list(dependencies)})


def version_of(ready: Ready, module: str) -> str:
    code = f"import {module}; print({module}.VERSION)"
    return subprocess.run([ready.python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_was_asked_for_is_there_and_is_made_once(place: Place) -> None:
    place.has("alpha", "1.0", "1.1", "2.0")
    place.has("beta", "3.1", requires=("alpha>=1",))
    first = place.prepare({"pip": ["alpha==1.1", "beta"]})
    assert (version_of(first, "alpha"), version_of(first, "beta")) == ("1.1", "3.1")
    assert first.notes == ()
    assert first.made_in is not None
    again = place.prepare({"pip": ["beta", "azureml-core", "alpha==1.1"]})
    assert (again.python, again.made_in) == (first.python, None)
    assert [note.subject for note in again.notes] == ["azureml-core"]
    assert place.prepare({"pip": ["alpha==1.1", "beta"]}).notes == ()
    record = place.store.find(first.key or "")
    assert record is not None
    assert record.packages == ("alpha==1.1", "beta==3.1")
    assert [told.split()[0] for told in place.told] == ["finding", "installing"]


def test_what_tidemill_has_itself_is_preferred_to_the_newest(place: Place) -> None:
    place.has("numpy", "1.0", "2.0", "3.0")
    place.has("alpha", "1.0", requires=("numpy",))
    assert version_of(place.prepare("alpha"), "numpy") == "2.0"
    assert version_of(place.prepare("alpha", "numpy>2"), "numpy") == "3.0"


def test_a_pin_without_a_wheel_for_this_python_moves_to_the_same_minor_version(place: Place) -> None:
    place.has("alpha", "1.4.0", tag=FOREIGN)
    place.has("alpha", "1.4.2", "1.5.0", "2.0")
    place.has("beta", "1.0")
    ready = place.prepare({"pip": ["alpha==1.4.0", "beta==1.0"]})
    assert version_of(ready, "alpha") == "1.4.2"
    (note,) = ready.notes
    assert str(note).startswith("alpha==1.4.0: 1.4.2 is used, the same minor version: alpha==1.4.0 has no wheels")


@pytest.mark.parametrize(
    ("there", "used", "reach"),
    [
        (("1.5.0", "2.0"), "1.5.0", "the same major version"),
        (("2.0",), "2.0", "any version"),
    ],
)
def test_then_to_the_same_major_then_to_any(place: Place, there: tuple[str, ...], used: str, reach: str) -> None:
    place.has("alpha", "1.4.0", tag=FOREIGN)
    place.has("alpha", *there)
    for written in ({"pip": ["alpha==1.4.0"]}, "alpha=1.4.0"):
        note = place.notes(written)[-1]
        assert note.startswith(f"alpha==1.4.0{'.*' if written == 'alpha=1.4.0' else ''}: {used} is used, {reach}: ")


def test_a_pin_that_need_not_move_is_put_back(place: Place) -> None:
    """uv's reason names both; only one of them is in the way."""
    place.has("alpha", "1.0.0", "1.0.5", requires=("gamma>=2",))
    place.has("gamma", "1.0", "2.0")
    ready = place.prepare({"pip": ["alpha==1.0.0", "gamma<2"]})
    assert (version_of(ready, "alpha"), version_of(ready, "gamma")) == ("1.0.0", "2.0")
    assert [note.subject for note in ready.notes] == ["gamma<2"]


def test_the_hand_in_hand_of_two_pins(place: Place) -> None:
    """The how-to's torch and torchvision: of the first there is a wheel, of the second none for this Python."""
    place.has("torch", "1.13.0", "1.13.1", "2.15.0")
    place.has("torchvision", "0.14.0", "0.14.1", tag=FOREIGN, requires=("torch>=1.13,<1.14",))
    place.has("torchvision", "0.30.0", requires=("torch==2.15.0",))
    notes = place.notes({"pip": ["torch==1.13.0", "torchvision==0.14.0"]})
    assert [note.partition(": ")[2].partition(":")[0] for note in notes] == [
        "2.15.0 is used, any version",
        "0.30.0 is used, the same major version",
    ]


def test_conda_names_and_the_agents_packages(place: Place) -> None:
    place.has("torch", "2.0")
    notes = place.notes("pytorch=2.0", "cudatoolkit=11", "ffmpeg", "unheard-of", {"pip": ["azureml-core"]})
    assert notes == [
        "pytorch=2.0: installed as torch",
        "cudatoolkit=11: left out: comes with the package that needs it",
        "ffmpeg: left out: no Python package",
        "azureml-core: left out: only Azure's agent needs it",
        "unheard-of: left out: no registry of Python packages has it",
    ]


def test_a_package_of_pips_list_that_nobody_has_fails_with_its_name_and_the_mend(place: Place) -> None:
    place.has("alpha", "1.0")
    with pytest.raises(JobFailed, match=r"unheard-of was not found.*; check its name in conda_file"):
        place.prepare({"pip": ["alpha", "unheard-of"]})
    assert not list((place.store.root / "tmp").iterdir())
    assert place.store.all() == []
    assert "unheard-of" in place.log.read_text()


def test_tidemills_own_environment_serves_what_it_has(place: Place) -> None:
    ready = place.prepare(f"python={OWN.minor[0]}.{OWN.minor[1]}", {"pip": ["numpy>=1", "azureml-core"]})
    assert (ready.is_own, ready.python) == (True, sys.executable)
    assert [note.subject for note in ready.notes] == ["azureml-core"]
    assert not place.store.root.exists()


def test_the_nearest_python_is_taken_and_told(place: Place) -> None:
    place.has("alpha", "1.0")
    ready = place.prepare("python=3.2.1", "alpha")
    (note,) = ready.notes
    assert note.subject == "python=3.2.1"
    assert "is used, the nearest of the Pythons that this machine has" in note.done
    assert version_of(ready, "alpha") == "1.0"


def test_two_that_ask_at_the_same_time_share_one(place: Place) -> None:
    place.has("alpha", "1.0")
    answers: list[Ready] = []
    threads = [threading.Thread(target=lambda: answers.append(place.prepare("alpha"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(answers) == 3
    assert len({answer.python for answer in answers}) == 1
    assert sum(answer.made_in is not None for answer in answers) == 1


def test_whoever_stops_it_leaves_nothing_half_made(place: Place) -> None:
    class Stop(Exception):
        pass

    def check() -> None:
        if any(told.startswith("installing") for told in place.told):
            raise Stop

    place.has("alpha", "1.0")
    with pytest.raises(Stop):
        place.prepare("alpha", check=check)
    assert not list((place.store.root / "tmp").iterdir())
    assert place.store.find(wanted("alpha").key) is None
    assert version_of(place.prepare("alpha"), "alpha") == "1.0"


def test_an_environment_whose_python_has_gone_is_made_again(place: Place) -> None:
    place.has("alpha", "1.0")
    first = place.prepare("alpha")
    python = Path(first.python)
    python.unlink()
    python.symlink_to("/nowhere/python")
    again = place.prepare("alpha")
    assert again.made_in is not None
    assert version_of(again, "alpha") == "1.0"


def test_removed_is_forgotten(place: Place) -> None:
    place.has("alpha", "1.0")
    ready = place.prepare("alpha")
    assert ready.key is not None
    place.store.remove(ready.key)
    assert place.store.all() == []
    assert not (place.store.root / ready.key).exists()


def test_no_address_reaches_the_log(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "UV_NO_CONFIG": "1",
        "UV_DEFAULT_INDEX": "http://user:secret@127.0.0.1:9/simple",
        "UV_HTTP_RETRIES": "0",
    }
    preparer = Preparer(Uv(environment=environment), EnvironmentStore(tmp_path / "e"), python=OWN, versions=dict)
    log = tmp_path / "log.txt"
    with pytest.raises(JobFailed, match=r"the package registry could not be reached; invoke again") as failed:
        preparer.prepare(wanted("alpha"), Watch(log=log, tell=lambda words: None, check=lambda: None))
    for text in (log.read_text(), str(failed.value)):
        assert "secret" not in text
        assert "127.0.0.1" not in text
