"""The same kills on a stream that somebody defined: prepared rows, another key, other windows, its own tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra import stream_definitions
from infra.wiring import defined_streams
from ingestion.checkpoint import Progress
from ingestion.definition import StreamDefinition
from storage.lake.stream_tables import StreamTables
from storage.lake.tables import LakeTable
from tests.stream_process import StreamStack

_DEFINITION = """\
name: proven
source: {{topic: {topic}}}
filter: value > 50.0
derived: {{excess: value - 50.0}}
window: {{{window}, allowed_lateness: 5s, correction_lateness: 20s}}
aggregates:
  count: count
  sum_of_squares: {{function: stddev, of: excess}}
  mean: mean
  at_end: last
  p90: {{function: quantile, of: excess, q: 0.9}}
  weighted: time_weighted_mean
"""
WINDOWS: Mapping[str, str] = {
    "hopping": "type: hopping, size: 20s, every: 5s",
    "session": "type: session, gap: 3s",
}


@dataclass
class DefinedStack(StreamStack):
    """A StreamStack whose workers run a definition. `kind` is one of WINDOWS."""

    kind: str = "hopping"

    def write_definition(self, folder: Path) -> Path:
        """The file; `definition` is what it says."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "proven.yml"
        path.write_text(_DEFINITION.format(topic=self.topic, window=WINDOWS[self.kind]))
        self.definition: StreamDefinition = stream_definitions.read(path, readings_topic=self.topic)
        return path

    @property
    def tables(self) -> tuple[LakeTable, LakeTable]:
        """Of the windows, and of the late readings."""
        found = StreamTables.of(self.definition)
        return found.windows, found.late

    def progress(self) -> dict[int, Progress]:
        return dict(defined_streams.stream_progress(self.settings, self.definition))
