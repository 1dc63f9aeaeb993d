"""All proofs with full counts, a line of figures each: `python -m tests.fault.proof`; some of them: name them."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.devstack.kafka import KafkaBroker
from infra.devstack.ports import free_ports
from tests.fault.proof.catalog import PROOFS


def main(arguments: Sequence[str]) -> int:
    """0 where every proof came out as it has to."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault.proof", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="PROOF", help=f"which of: {', '.join(PROOFS)}; without, all")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of readings, faults and moments")
    parser.add_argument("--share", type=float, default=1.0, help="of the full counts")
    parser.add_argument("--keep", action="store_true", help="leave the files of a failed proof where they are")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(PROOFS):
        parser.error(f"{', '.join(sorted(unknown))}: there are {', '.join(PROOFS)}")
    # told to stop, it ends its broker and its workers, and a mounted image
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"seed {options.seed}, {options.share:.0%} of the full counts", flush=True)
    failed = []
    for name in options.names or PROOFS:
        scratch = Path(tempfile.mkdtemp(prefix="tidemill-proof-"))
        scratch.chmod(0o755)
        began = time.monotonic()
        try:
            with _broker(scratch) as broker:
                line = PROOFS[name].run(broker, scratch / "proof", options.share, options.seed)
        except Exception as error:
            failed.append(name)
            notes = "\n".join(getattr(error, "__notes__", []))
            line = f"FAILED {type(error).__name__}: {error}\n{notes}"
        finally:
            if not (options.keep and name in failed):
                shutil.rmtree(scratch, ignore_errors=True)
        print(f"{name}: {line} ({time.monotonic() - began:.0f} s)", flush=True)
        if options.keep and name in failed:
            print(f"  its files are in {scratch}", flush=True)
    print(f"failed: {', '.join(failed)}" if failed else "nothing was lost, and nothing counted twice", flush=True)
    return 1 if failed else 0


@contextmanager
def _broker(home: Path) -> Iterator[KafkaBroker]:
    """One for each proof: what a proof leaves in its topics slows nobody else down."""
    port, controller_port = free_ports(2)
    broker = KafkaBroker(home, port=port, controller_port=controller_port)
    broker.start(limit=240)
    try:
        yield broker
    finally:
        broker.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
