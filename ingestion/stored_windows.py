"""The windows of an aggregator as the tables of its state, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.slots import Slots, WindowState
from ingestion.checkpoint import State
from ingestion.errors import InvalidInput
from ingestion.keys import Keys
from ingestion.placing import Placing
from ingestion.revisions import Revisions
from ingestion.sessions import Sessions
from ingestion.shape import WindowShape
from ingestion.slot_table import SlotTable
from ingestion.window import described

Ints = npt.NDArray[np.int64]
_AFRESH = "or give the stream another name to begin afresh"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredWindows:
    """What of an aggregator is stored.

    parts  by the prefix of their columns
    """

    table: SlotTable
    placing: Placing
    keys: Keys
    revisions: Revisions
    parts: Sequence[tuple[str, WindowState]]

    def dump(self) -> pa.Table:
        """One row per window that is open or can be corrected."""
        table = self.table
        slots = np.flatnonzero(table.live)
        groups = list(zip(table.machine[slots].tolist(), table.group[slots].tolist(), strict=True))
        columns: dict[str, Any] = {
            **self.keys.named(table.key[slots]),
            **self.placing.dump(slots),
            "first_offset": table.first_offset[slots],
            "last_offset": table.last_offset[slots],
            "closed": table.closed[slots],
            "published": pa.array([self.revisions.published(group) for group in groups], pa.int32()),
            "changed": pa.array([self.revisions.changed.get(group) for group in groups], pa.int64()),
        }
        for prefix, part in self.parts:
            for name, array in part.dump(slots).items():
                columns[f"{prefix}.{name}"] = array
        return pa.table(columns)

    def dump_keys(self) -> pa.Table:
        """One row per key of which more has to be known than its windows."""
        if not isinstance(self.placing, Sessions):
            return pa.table({})
        keys = self.placing.lasting_floors(self.keys.machine_of(np.arange(len(self.keys))))
        return pa.table({**self.keys.named(keys), "floor_us": self.placing.floor[keys]})

    def load(self, state: State, shape: WindowShape) -> None:
        """Into an aggregator without windows. Raises InvalidInput if the shape cannot go on with those in the state."""
        if state.windows.num_rows == 0 and state.keys.num_rows == 0:
            return
        where = f"are open in partition {state.head.partition}"
        if state.kind != shape.window.fingerprint:
            raise InvalidInput(
                f"{described(state.kind)} {where}, the setting says {described(shape.window.fingerprint)}; "
                f"set it back, {_AFRESH}"
            )
        if tuple(state.key) != tuple(shape.key):
            raise InvalidInput(
                f"windows by {', '.join(state.key)} {where}, the key is now {', '.join(shape.key)}; "
                f"set it back, {_AFRESH}"
            )
        if state.windows.num_rows:
            try:
                self._load(state.windows)
            except KeyError as error:
                raise InvalidInput(
                    f"windows {where} that were folded without {error.args[0]}, which an aggregate needs now; "
                    f"set the aggregates back, {_AFRESH}"
                ) from None
        if state.keys.num_rows and isinstance(self.placing, Sessions):
            self.placing.raise_floor(self.keys.identify(state.keys)[1], state.keys["floor_us"].to_numpy())

    def _load(self, windows: pa.Table) -> None:
        flat = _flat(windows)
        machine, key = self.keys.identify(windows)
        slots = self.placing.load(flat, key, machine)
        self.table.first_offset[slots] = flat["first_offset"].to_numpy()
        self.table.last_offset[slots] = flat["last_offset"].to_numpy()
        for prefix, part in self.parts:
            own = {n.removeprefix(f"{prefix}."): c for n, c in flat.items() if n.startswith(f"{prefix}.")}
            part.load(slots, own)
        if "closed" in flat:
            is_closed = np.asarray(flat["closed"].to_numpy(zero_copy_only=False), bool)
            self._load_closed(slots[is_closed], windows.filter(windows["closed"]))

    def _load_closed(self, slots: Slots, windows: pa.Table) -> None:
        table = self.table
        table.closed[slots] = table.held[slots] = True
        for slot, published, tick in zip(
            slots.tolist(), windows["published"].to_pylist(), windows["changed"].to_pylist(), strict=True
        ):
            group = int(table.machine[slot]), int(table.group[slot])
            self.revisions.hold(group, slot, published)
            if tick is not None:
                self.revisions.changed[group] = tick


def _flat(windows: pa.Table) -> Mapping[str, Any]:
    flat = {name: windows[name].combine_chunks() for name in windows.column_names}
    flat = {n: c.chunk(0) if isinstance(c, pa.ChunkedArray) else c for n, c in flat.items()}
    if "unit" in flat:  # from before the unit was an aggregate
        flat["latest(unit).latest"], flat["latest(unit).latest_offset"] = flat["unit"], flat["last_offset"]
    return flat
