"""The service: batch endpoints, their jobs and schedules over HTTP, with the runner and the scheduler behind it.

Here: the application (`app`), what it is made of (`parts`), one router a noun, how errors become answers (`errors`),
how bodies are read (`bodies`), the loops that run beside it (`background`), and the process (`server`).

Not here: what an endpoint or a job is (`scoring`), and which store is behind a port (`infra.wiring`). A router checks
that named things exist and hands values on; it decides nothing else.
"""
