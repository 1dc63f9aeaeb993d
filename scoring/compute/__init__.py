"""Where mini-batches are scored: backends behind `scoring.ports.ComputeBackend`, and the compute cluster as a value.

Here: `cluster` (the value), `inline` (in this process, for tests of the engine), `local` (worker processes of this
machine). `local` is made of `fleet` (a cluster's instances), `pool` (processes: `process`, forked by a `zygote` that
has made the imports that `preload` found), `job_run` (one job's way through its processes, in the folders of its
`workplace`) and `meter` (what it cost). `upkeep` keeps the fleet in step with what is stored.
Not here: what is scored (`scoring.plan`), what a failure means (`scoring.retry`).
"""
