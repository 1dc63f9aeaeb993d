"""How far a stream's windows have come, by partition: against what a silent key is measured.

A partition is read at its own pace, so only the machines of one partition tell of each other. A machine whose clock
runs ahead tells of itself alone: where there are others enough, the second farthest of them counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import nlargest
from typing import Any


@dataclass(slots=True)
class PartitionProgress:
    """Times in microseconds since 1970.

    arrived_us  wall clock of the commit that brought the partition's newest rows
    reached     event time up to which each machine has windows
    heard_us    wall clock of the commit that brought each machine's newest rows
    """

    arrived_us: int = 0
    reached: dict[str, int] = field(default_factory=dict)
    heard_us: dict[str, int] = field(default_factory=dict)

    def take(self, machine: str, end: int, committed_us: int) -> None:
        """A window of the machine, and when it was committed."""
        self.reached[machine] = max(end, self.reached.get(machine, end))
        self.heard_us[machine] = committed_us
        self.arrived_us = max(self.arrived_us, committed_us)

    def farthest(self) -> int:
        return max(self.reached.values(), default=0)

    def of_machines(self, machines: set[str]) -> dict[str, int]:
        """How far event time is for each of them: as far as it is itself, or as the others are."""
        # the machine itself, and the two that are farthest beside it
        leaders = nlargest(3, self.reached.items(), key=lambda item: item[1])
        found = {}
        for machine in machines:
            others = [end for other, end in leaders if other != machine][:2]
            found[machine] = max([self.reached.get(machine, 0), *others[-1:]])
        return found

    def forget(self, before_us: int) -> None:
        """Drop machines of which no commit since then told."""
        self.heard_us = {machine: heard for machine, heard in self.heard_us.items() if heard >= before_us}
        self.reached = {machine: end for machine, end in self.reached.items() if machine in self.heard_us}

    def plain(self) -> list[Any]:
        return [self.arrived_us, self.reached, self.heard_us]

    @classmethod
    def of_plain(cls, plain: list[Any]) -> PartitionProgress:
        arrived_us, reached, heard_us = plain
        return cls(arrived_us=arrived_us, reached=reached, heard_us=heard_us)
