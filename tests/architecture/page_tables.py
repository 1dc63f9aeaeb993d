"""The tables of a page of documentation, by the heading that they stand under."""

from __future__ import annotations

import re
from pathlib import Path

Row = dict[str, str]


def tables(page: Path) -> dict[str, list[Row]]:
    """By heading; several tables under one heading are one list. `\\|` is a bar inside a cell."""
    found: dict[str, list[Row]] = {}
    heading, columns = "", list[str]()
    for line in page.read_text().splitlines():
        if line.startswith("#"):
            heading, columns = line.lstrip("# "), []
        elif not line.startswith("|"):
            columns = []
        elif not columns:
            columns = _cells(line)
        elif not re.fullmatch(r"[|:\- ]+", line):
            cells = _cells(line)
            assert len(cells) == len(columns), f"{page.name}: {len(cells)} cells under {len(columns)} heads: {line}"
            found.setdefault(heading, []).append(dict(zip(columns, cells, strict=True)))
    return found


def codes(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
