"""The lake's tables of defined streams: named and shaped by the definition, found again from the lake itself."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError

from ingestion.definition import LATE_SUFFIX, StreamDefinition
from ingestion.errors import InvalidInput, TryAgain
from storage.lake.tables import DATE, TABLES, LakeTable

_KEY_ENDS_BEFORE = "window_start"


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamTables:
    """Where a definition's rows go."""

    stream: str
    windows: LakeTable
    late: LakeTable

    @classmethod
    def of(cls, definition: StreamDefinition) -> StreamTables:
        shape = definition.shape
        return cls(
            stream=definition.name,
            windows=LakeTable(name=definition.table, schema=shape.schema.append(DATE)),
            late=LakeTable(name=definition.late_table, schema=shape.late_schema.append(DATE)),
        )

    def check(self, lake_root: Path) -> None:
        """Raises InvalidInput where a table of this name has other columns, naming them; TryAgain where it is away."""
        for table in (self.windows, self.late):
            found = columns_of(table.path(lake_root))
            differing = [] if found is None else differences(found, table.schema)
            if differing:
                raise InvalidInput(
                    f"the lake has a table {table.name} with other columns: {'; '.join(differing)}. Give the stream "
                    "another table (sink.table), or, if the stream made it, delete it with `tidemill stream reset "
                    f"{self.stream}`"
                )

    def delete(self, lake_root: Path) -> list[str]:
        """Delete both with all their rows; the names of those that there were."""
        gone = []
        for table in (self.windows, self.late):
            folder = table.path(lake_root)
            if folder.is_dir():
                # the log first: without it there is no table, however much of the rest is left
                shutil.rmtree(folder / "_delta_log", ignore_errors=True)
                shutil.rmtree(folder)
                gone.append(table.name)
        return gone


def columns_of(folder: Path) -> Mapping[str, str] | None:
    """Names and Delta types of a table's columns; None where there is no table. Raises TryAgain."""
    try:
        return {field.name: _type_name(field.type) for field in DeltaTable(folder).schema().fields}
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise TryAgain(f"the lake's table {folder.name} cannot be read now: {error}") from error


def differences(found: Mapping[str, str], wanted: pa.Schema) -> list[str]:
    """In words, column by column."""
    expected = {field.name: _type_name(field.type) for field in Schema.from_arrow(wanted).fields}
    told = [f"{name} is missing" for name in expected if name not in found]
    told += [f"{name} is one too many" for name in found if name not in expected]
    told += [
        f"{name} is {found[name]}, {kind} is wanted"
        for name, kind in expected.items()
        if name in found and found[name] != kind
    ]
    return told


def _type_name(kind: object) -> str:
    return str(getattr(kind, "type", kind))


def defined_tables(lake_root: Path) -> Mapping[str, LakeTable]:
    """Tables of the lake that are none of tidemill's own, by name, as they are now; those that cannot be read are not
    among them.
    """
    found = {}
    for log in sorted(lake_root.glob("*/_delta_log")) if lake_root.is_dir() else ():
        name = log.parent.name
        if name in TABLES or name.startswith("."):
            continue
        try:
            schema = pa.schema(DeltaTable(log.parent).schema().to_arrow())
        except (DeltaError, OSError):
            continue
        found[name] = LakeTable(name=name, schema=schema)
    return found


def key_of(schema: pa.Schema) -> Sequence[str]:
    """The key columns of a table of windows: those before its first time. Empty for another table."""
    names = schema.names
    is_windows = {"window_start", "window_end", "revision"} <= set(names)
    return names[: names.index(_KEY_ENDS_BEFORE)] if is_windows else ()


def is_late_table(name: str) -> bool:
    return name.endswith(LATE_SUFFIX)
