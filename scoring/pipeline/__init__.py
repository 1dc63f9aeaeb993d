"""Running pipelines: a parent job, and one child job for each step.

Here: `step` (what a child has to do, as a value), `planning` (from a pipeline and its values to parent and children),
`advance` (which steps start, which are given up, what the parent's state is), `conductor` (the loop that has that
decided and stored), `command_pass` and `command_process` (one command step, from its claim to its end; `keeper` is the
process beside it), `parallel` (a parallel step as a job of mini-batches) and `reuse` (what makes two steps the same).

Not here: what a pipeline may look like (`scoring.components`, `scoring.specs`), scoring of mini-batches
(`scoring.runner`, `scoring.compute`).
"""
