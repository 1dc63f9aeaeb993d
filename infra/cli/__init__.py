"""The command line: one command group a file; nothing heavy is imported until its command runs.

Here: `main` (the lazy root and the table of commands), `output` (-o and --query), `failures` (exit codes), the groups.
Not here: what a command does: that is behind `infra.client`, `infra.devstack` or `infra.wiring`.
"""
