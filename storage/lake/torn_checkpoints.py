"""Checkpoints that a power cut left empty or torn: of no use to anybody, and in everybody's way."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

log = logging.getLogger(__name__)


def remove_torn_checkpoints(folder: Path) -> list[str]:
    """Delete the table's checkpoints that cannot be read, and the hint at one; returns their names.

    delta-rs writes them without a sync, and a reader who is led to a torn one gives the table up. Nothing is lost with
    it: the log's entries stay until a checkpoint behind them has been read and synced (`vacuum.shorten_log`).
    """
    torn = []
    for path in sorted((folder / "_delta_log").glob("*.checkpoint.parquet")):
        try:
            pq.ParquetFile(path).read(columns=["add"])
        except FileNotFoundError:
            continue
        except (pa.ArrowException, OSError):
            torn.append(path.name)
            path.unlink(missing_ok=True)
    if torn:
        (folder / "_delta_log" / "_last_checkpoint").unlink(missing_ok=True)
        log.warning("%s: %s could not be read, as after a power cut, and was removed", folder.name, ", ".join(torn))
    return torn
