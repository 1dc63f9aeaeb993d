"""Power cuts of the disk that holds lake and states: what is on it at that moment stays, and nothing else.

A file system in a file, mounted through a loop device; a copy of the file holds what had been flushed, as a disk would
after a cut. Needs the right to mount.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from deltalake.exceptions import DeltaError

from ingestion.steps import STEPS, Step
from tests.fault.proof.proof import Figures, Proof, conclude, proof
from tests.fault.proof.worker import Variant

_MIB = 1024 * 1024
_SIZE = 256 * _MIB
_DARING: tuple[Step, ...] = ("entry written", "part on disk", "state drafted", "late entry written")
# the moments at which something is written and not yet flushed come first, so that a few cuts meet them
_CUTTING = (*_DARING, *(step for step in STEPS if step not in (*_DARING, "restored")))
# the file system's journal names new files after a second, the data that nobody flushed comes half a minute later
_OPTIONS = "loop,commit=1"


def cannot_mount(scratch: Path) -> str | None:
    """Why there can be no power cuts here; None where there can."""
    if os.geteuid() != 0:
        return "mounting a disk image takes root"
    if missing := [name for name in ("mkfs.ext4", "mount", "umount") if shutil.which(name) is None]:
        return f"{', '.join(missing)} is not here"
    try:
        disk = Disk(scratch / "trial")
        disk.mount()
        disk.unmount()
    except subprocess.CalledProcessError as error:
        return f"a disk image cannot be mounted here: {error.stderr.decode().strip()}"
    return None


@dataclass
class Disk:
    """A disk image and where it is mounted; `cut` takes its place by what a power cut would leave."""

    folder: Path
    cuts: int = 0
    _mounted: bool = field(default=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.image = self.folder / "disk.img"
        self.root = self.folder / "mounted"
        self.root.mkdir(exist_ok=True)
        with self.image.open("wb") as file:
            file.truncate(_SIZE)
        _run("mkfs.ext4", "-q", "-F", str(self.image))

    def mount(self) -> None:
        _run("mount", "-o", _OPTIONS, str(self.image), str(self.root))
        self._mounted = True

    def unmount(self) -> None:
        if not self._mounted:
            return
        deadline = time.monotonic() + 60
        while True:
            try:
                _run("umount", str(self.root))
                break
            except subprocess.CalledProcessError:
                # a process that was just killed may not have let go yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self._mounted = False

    def copied(self) -> Path:
        """The disk as a power cut at this moment would leave it."""
        self.cuts += 1
        copy = self.folder / f"cut-{self.cuts}.img"
        _run("cp", "--sparse=always", str(self.image), str(copy))
        return copy

    def replaced_by(self, copy: Path) -> None:
        """Let the copy be the disk."""
        self.unmount()
        copy.replace(self.image)
        self.mount()


def power_cuts(bootstrap: str, scratch: Path, count: int, seed: int, *, variant: Variant = "honest") -> Figures:
    """`count` cuts at the steps of a commit in turn, or anywhere; at once, or once the system has flushed by itself."""
    disk = Disk(scratch / "disk")
    disk.mount()
    try:
        with proof(
            bootstrap,
            scratch,
            "power cuts of the lake's disk",
            seed,
            home=disk.root / "home",
            variant=variant,
            may_end=False,
        ) as of:
            random_ = random.Random(seed)
            undone = sum(
                _cut(of, disk, random_, _CUTTING[number % len(_CUTTING)] if number % 5 != 4 else None)
                for number in range(count)
            )
            of.figures |= {
                "cuts": disk.cuts,
                "of them within a commit": len(of.crew.reached(signal.SIGSTOP)),
                "that undid a commit": undone,
            }
            return conclude(of, scratch)
    finally:
        disk.unmount()


def _cut(of: Proof, disk: Disk, random_: random.Random, step: Step | None) -> bool:
    """Returns whether the lake has gone back with it."""
    crew = of.crew
    crew.start("worker-0")
    crew.wait_for_restored("worker-0")
    crew.wait_for_progress()
    if step is None:
        time.sleep(random_.uniform(0.0, 4.0))
        crew.send("worker-0", signal.SIGSTOP)
    else:
        before = len(crew.reached(signal.SIGSTOP))
        crew.order("worker-0", step, random_.choice([1, 2, 5]), signal.SIGSTOP)
        crew.until(f"the worker froze at {step!r}", lambda: len(crew.reached(signal.SIGSTOP)) > before)
    time.sleep(random_.choice([0.0, 0.0, 2.0, 7.0]))
    copy = disk.copied()
    before_it = crew.positions()
    crew.kill("worker-0")
    disk.replaced_by(copy)
    try:
        return crew.positions() != before_it
    except DeltaError:
        # a checkpoint that the cut has torn leads every reader astray until the worker's start removes it
        return True


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=120)
