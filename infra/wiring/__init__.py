"""The only place where a port meets its adapter. One function a part.

Imports of what is joined are inside the functions, so that a process loads only what it runs.

Not here: what a part does; decisions; routes and commands, which ask for their parts here.
"""
