"""How large a mini-batch is to be: so many files, so many bytes, or so many rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from scoring.errors import InvalidInput

_WRITTEN = re.compile(r"\s*(\d{1,18})\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)
_BYTES = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}
_MOST_BYTES = 1 << 40
_MOST_FILES = 1_000_000
_MOST_ROWS = 1_000_000_000
_FORMS = "a number of files such as 10, a size such as 64kb, 10MB or 1GB, or a number of rows such as `5000 rows`"


class SizeUnit(StrEnum):
    """What `mini_batch_size` counts. `files` is Azure's; of a table's input it counts rows, of whole part files."""

    FILES = "files"
    BYTES = "bytes"
    ROWS = "rows"


@dataclass(frozen=True, kw_only=True)
class MiniBatchSize:
    """A mini-batch holds as much as fits into `number`, and one item at least."""

    number: int
    unit: SizeUnit = SizeUnit.FILES

    @classmethod
    def parse(cls, written: int | str) -> MiniBatchSize:
        """`10` files, `64kb`, `10MB`, `1GB` (of 1024), `5000 rows`. Raises InvalidInput for anything else."""
        match = _WRITTEN.fullmatch(str(written))
        unit = match.group(2).lower() if match else ""
        if match is None or unit not in {"", "row", "rows", *_BYTES}:
            raise InvalidInput(f"found {str(written)[:40]!r}; wanted {_FORMS}")
        number = int(match.group(1)) * _BYTES.get(unit, 1)
        if not unit:
            found = cls(number=number)
        else:
            found = cls(number=number, unit=SizeUnit.BYTES if unit in _BYTES else SizeUnit.ROWS)
        most = {SizeUnit.FILES: _MOST_FILES, SizeUnit.BYTES: _MOST_BYTES, SizeUnit.ROWS: _MOST_ROWS}[found.unit]
        if not 1 <= number <= most:
            raise InvalidInput(f"found {str(written)[:40]!r}; allowed are 1 to {cls(number=most, unit=found.unit)}")
        return found

    @property
    def written(self) -> int | str:
        """As it is shown, and as `parse` reads it: a plain number for files."""
        return self.number if self.unit is SizeUnit.FILES else str(self)

    def __str__(self) -> str:
        if self.unit is SizeUnit.FILES:
            return str(self.number)
        if self.unit is SizeUnit.ROWS:
            return f"{self.number} rows"
        name, factor = max(
            ((name, factor) for name, factor in _BYTES.items() if self.number % factor == 0), key=lambda pair: pair[1]
        )
        return f"{self.number // factor}{name.upper()}"
