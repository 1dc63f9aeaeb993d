"""Joins everything into processes: settings, wiring, the embedded stack, the API, its client, the command line.

Here: the entry points. `wiring` is the only place where a port meets its adapter.

Not here: anything that could be decided without a process, a port number or an HTTP request.
"""
