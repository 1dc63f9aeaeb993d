"""Where mini-batches are scored: backends behind `scoring.ports.ComputeBackend`, and the compute cluster as a value.

Here: `cluster` (the value), `inline` (in this process, for tests of the engine), `local` (worker processes of this
machine).
Not here: what is scored (`scoring.plan`), what a failure means (`scoring.retry`).
"""
