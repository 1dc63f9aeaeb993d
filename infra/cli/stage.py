"""What a demonstration stands on: numbered steps, commands run as a person would, waits with limits, children that end.

Plain lines that read well in a log; on a terminal a spinner shows what is waited for.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from infra.cli.failures import WaitedTooLong

T = TypeVar("T")
WIDTH = 118
POLL_SECONDS = 0.5


class StepFailed(Exception):
    """A command of the demonstration did not do its work; the message is its last word."""


class Stage:
    """Runs and shows. `home` goes to every command; `folder` keeps what children say, one log file each."""

    def __init__(self, *, home: Path, folder: Path, program: str = "tidemill") -> None:
        self.home = home
        self.console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, soft_wrap=True)
        self._folder = folder
        self._program = program
        self._began = time.monotonic()
        self._step = 0
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._env = {**os.environ, "TIDEMILL_HOME": str(home)}

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def step(self, title: str) -> None:
        self._step += 1
        self.console.print(f"\n[bold]{self._step}  {title}[/]  [dim]({self.seconds:.0f} s)[/]")

    def say(self, text: str) -> None:
        self.console.print(f"   {text}", markup=False)

    def show(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()) -> None:
        """A small table; `right` names the columns of figures."""
        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        for name in columns:
            table.add_column(name, justify="right" if name in right else "left", no_wrap=True)
        for row in rows:
            table.add_row(*[str(cell) for cell in row])
        with self.console.capture() as captured:
            self.console.print(table)
        for line in captured.get().splitlines():
            self.console.out(f"   {line.rstrip()}", highlight=False)

    # --- commands ---------------------------------------------------------------------------------------------------

    def command(self, *words: object, limit: float, shown: bool = True) -> str:
        """Run `tidemill …`, show the line, return its stdout. Raises StepFailed with its last line of stderr."""
        return self._run([sys.executable, "-m", "infra.cli.main", *map(str, words)], limit, self._program, words, shown)

    def script(self, path: Path, *words: object, limit: float) -> str:
        """Run a Python script with this interpreter, as `command` does."""
        return self._run(
            [sys.executable, str(path), *map(str, words)], limit, f"python {self._short(path)}", words, True
        )

    def _run(self, argv: list[str], limit: float, program: str, words: Sequence[object], shown: bool) -> str:
        line = " ".join([program, *(self._short(word) for word in words)])
        if shown:
            self.console.print(
                f"   [cyan]$ {line}[/]" if self.console.is_terminal else f"   $ {line}", markup=self.console.is_terminal
            )
        with self._spinner(line):
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self._env, text=True
            )
            try:
                out, err = child.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                child.kill()
                child.communicate()
                raise WaitedTooLong(f"`{line}` did not end within {limit:.0f} s") from None
            except BaseException:
                child.kill()
                child.wait()
                raise
        if child.returncode != 0:
            said = [text.strip() for text in (err or out).splitlines() if text.strip()]
            reason = said[-1].removeprefix("error: ") if said else "it said nothing"
            raise StepFailed(f"`{line}` ended with code {child.returncode}: {reason}")
        return out

    def background(self, name: str, *words: object) -> Path:
        """Start `tidemill …` beside us; it ends with `end_children` or with this process. Returns its log file."""
        from infra.devstack.processes import Launch, spawn

        log = self._folder / f"{name}.log"
        argv = (sys.executable, "-m", "infra.cli.main", *map(str, words))
        self.say(f"$ {' '.join([self._program, *(self._short(word) for word in words)])} &")
        child = spawn(Launch(argv=argv, cwd=Path.cwd(), log=log, env=self._env, stop_signal=signal.SIGINT))
        self._children.append((name, child))
        return log

    def check_children(self) -> None:
        """Raises StepFailed if a child ended badly; one that is done is forgotten."""
        for name, child in list(self._children):
            code = child.poll()
            if code is None:
                continue
            self._children.remove((name, child))
            if code != 0:
                lines = (self._folder / f"{name}.log").read_text(errors="replace").strip().splitlines()
                raise StepFailed(f"{name} ended with code {code}: {lines[-1] if lines else 'it said nothing'}")

    def runs(self, name: str) -> bool:
        return any(known == name and child.poll() is None for known, child in self._children)

    def end_children(self) -> None:
        from infra.devstack.processes import stop

        for _, child in self._children:
            stop(child, signal.SIGINT, grace=10)
        self._children.clear()

    # --- waits ------------------------------------------------------------------------------------------------------

    def wait_for(self, what: str, probe: Callable[[], T | None], *, limit: float, now: Callable[[], str] = str) -> T:
        """Ask until the answer is not None. Raises WaitedTooLong with what it was, and `now()`: how far it got."""
        deadline = time.monotonic() + limit
        with self._spinner(what):
            while True:
                self.check_children()
                answer = probe()
                if answer is not None:
                    return answer
                if time.monotonic() > deadline:
                    far = now()
                    raise WaitedTooLong(f"waited {limit:.0f} s for {what}{f'; {far}' if far else ''}")
                time.sleep(POLL_SECONDS)

    def _spinner(self, what: str) -> Any:
        return self.console.status(f"[dim]{what}[/]") if self.console.is_terminal else nullcontext()

    def _short(self, word: object) -> str:
        """A path below the working directory as a person would type it; words with spaces quoted."""
        text = str(word)
        here = f"{Path.cwd()}{os.sep}"
        text = text.removeprefix(here)
        return f'"{text}"' if " " in text or not text else text
