"""Where the rows of a finished job go: one kind of output a file, each behind `scoring.ports.OutputSink`.

Here: `SINKS`, the registry in the order of committing; `output_file` (in one of the `formats` append_row, csv, jsonl
and parquet), `delta_predictions` (the lake), and `postgres_predictions`, the last step, whose one transaction also
completes the job.
Not here: which rows a job has and whether it may complete (`scoring.collect`).
"""

from __future__ import annotations

SINKS: dict[str, str] = {
    "output_file": "storage.sinks.output_file:OutputFile",
    "delta_predictions": "storage.sinks.delta_predictions:DeltaPredictions",
}
"""Name -> `module:class`. The class is made with a `storage.sinks.places.Places`; it skips jobs not meant for it."""
