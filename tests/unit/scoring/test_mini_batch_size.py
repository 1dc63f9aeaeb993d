"""How `mini_batch_size` is written and read."""

from __future__ import annotations

import pytest

from scoring.errors import InvalidInput
from scoring.mini_batch_size import MiniBatchSize, SizeUnit


@pytest.mark.parametrize(
    ("written", "number", "unit", "shown"),
    [
        (10, 10, SizeUnit.FILES, 10),
        ("10", 10, SizeUnit.FILES, 10),
        ("64kb", 65_536, SizeUnit.BYTES, "64KB"),
        ("10MB", 10 << 20, SizeUnit.BYTES, "10MB"),
        (" 1 Gb ", 1 << 30, SizeUnit.BYTES, "1GB"),
        ("1024kb", 1 << 20, SizeUnit.BYTES, "1MB"),
        ("1500 B", 1500, SizeUnit.BYTES, "1500B"),
        ("5000 rows", 5000, SizeUnit.ROWS, "5000 rows"),
        ("1row", 1, SizeUnit.ROWS, "1 rows"),
    ],
)
def test_files_sizes_and_rows(written: int | str, number: int, unit: SizeUnit, shown: int | str) -> None:
    found = MiniBatchSize.parse(written)
    assert found == MiniBatchSize(number=number, unit=unit)
    assert found.written == shown
    assert MiniBatchSize.parse(found.written) == found


@pytest.mark.parametrize(
    "written", ["", "0", "0kb", "-5", "1.5MB", "ten", "10 MiB", "10 files", "MB", "9" * 30, "2000GB", "1000001", "١٠"]
)
def test_anything_else_is_refused_with_what_is_wanted(written: str) -> None:
    with pytest.raises(InvalidInput, match=r"wanted a number of files|allowed are 1 to"):
        MiniBatchSize.parse(written)
