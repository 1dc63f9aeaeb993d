"""The embedded stack: real Kafka and Postgres, and tidemill's own processes, started in order and never orphaned.

Here: the parts (`kafka`, `postgres`, `services`), the `supervisor` that keeps them running, `control` (a stack from
outside: up, down, status, reset), `doctor`, and what they stand on: processes, ports, jars, the state files.

Not here: what the parts do; the Kafka and database clients; anything that needs a database or a topic to be decided.
"""
