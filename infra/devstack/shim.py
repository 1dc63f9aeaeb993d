"""Becomes the program that it is given, bound to its parent: `shim.py UID SIGNAL PARENT_PID PROGRAM [ARG…]`.

Run by path with `python -I -S`, so it may import the standard library only. It exists because the same steps in a
`preexec_fn` would run Python between fork and exec of a process that may have threads.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    uid, death_signal, parent, program = int(arguments[0]), int(arguments[1]), int(arguments[2]), arguments[3:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        os.umask(0o077)
    if sys.platform == "linux":
        # after setuid, which clears it
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            sys.exit(f"cannot bind to the parent process: {os.strerror(ctypes.get_errno())}")
        # the parent may have died before the line above took effect
        if os.getppid() != parent:
            sys.exit("the parent process has ended")
    try:
        os.execv(program[0], program)  # noqa: S606
    except OSError as error:
        sys.exit(f"cannot run {program[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
