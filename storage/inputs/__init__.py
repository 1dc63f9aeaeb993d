"""What a job can read: one kind of input a file, each behind `scoring.ports.InputReader`.

Here: `INPUTS`, the registry, and `reader`, which hands each input to its kind; `uri_file`, `uri_folder`, `table`, and
the static tables that rows are joined with (`static_tables`).
Not here: how items are cut into mini-batches (`scoring.plan`), how a worker reads them (`scoring.drivers`).
"""

from __future__ import annotations

INPUTS: dict[str, str] = {
    "uri_file": "storage.inputs.uri_file:UriFile",
    "uri_folder": "storage.inputs.uri_folder:UriFolder",
    "table": "storage.inputs.table:LakeTableInput",
}
"""Type of the input -> `module:class`. The class is made with a `storage.inputs.reader.Places`."""
