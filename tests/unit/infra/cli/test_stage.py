"""The stage of a demonstration: commands, waits and children fail with one clear line, and end."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from infra.cli.failures import WaitedTooLong
from infra.cli.stage import Stage, StepFailed


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(home=tmp_path / "home", folder=tmp_path)


def test_a_command_gives_its_stdout(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert "simulate" in stage.command("--help", limit=120)
    assert "$ tidemill --help" in capsys.readouterr().out


def test_a_failing_command_says_its_last_word(stage: Stage) -> None:
    with pytest.raises(StepFailed, match=r"`tidemill no-such` ended with code 2: .*no-such"):
        stage.command("no-such", limit=120)


def test_a_script_that_hangs_is_ended_at_its_limit(stage: Stage, tmp_path: Path) -> None:
    script = tmp_path / "hang.py"
    script.write_text("import time\ntime.sleep(600)\n")
    began = time.monotonic()
    with pytest.raises(WaitedTooLong, match=r"hang\.py` did not end within 1 s"):
        stage.script(script, limit=1)
    assert time.monotonic() - began < 100


def test_a_wait_says_what_for_and_how_far(stage: Stage) -> None:
    with pytest.raises(WaitedTooLong, match="waited 1 s for rain; one cloud so far"):
        stage.wait_for("rain", lambda: None, limit=1, now=lambda: "one cloud so far")
    assert stage.wait_for("sun", lambda: 0, limit=1) == 0, "only None is no answer"


def test_a_child_that_ends_badly_is_noticed_in_every_wait(stage: Stage) -> None:
    stage.background("child", "no-such-command")
    with pytest.raises(StepFailed, match=r"child ended with code 2: .*no-such-command"):
        stage.wait_for("nothing", lambda: None, limit=120)


def test_children_end_with_the_stage(stage: Stage) -> None:
    before = set(psutil.Process().children(recursive=True))
    stage.background("child", "--home", "nowhere", "logs", "--follow")
    stage.background("other", "--help")
    stage.end_children()
    assert not [child for child in psutil.Process().children(recursive=True) if child not in before]
    assert not stage.runs("child")
