"""Postgres: the one schema (`tables`), its migrations, and the stores behind the ports of `scoring`.

Here: every SQL statement that writes. Migrations and `tables` are proven equal by a test.
Not here: what a row means, which move a job may make: `scoring` decides that.
"""
