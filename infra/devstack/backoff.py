"""When a part that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class RestartPolicy:
    """Exponential waits in seconds; a part that stayed ready for `stable` seconds starts from the first again."""

    first: float = 0.5
    longest: float = 30.0
    stable: float = 30.0

    def delay(self, failures: int) -> float:
        """Seconds to wait after the `failures`-th failure in a row (from 1)."""
        # the exponent is capped: 2.0 ** 2000 is an error, not a long wait
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 30))

    def failures(self, before: int, ready_seconds: float) -> int:
        """Failures in a row, counting one now, of a part that had been ready for `ready_seconds`."""
        return 1 if ready_seconds >= self.stable else before + 1
