"""Postgres: the one schema (`tables`), its migrations, and the stores behind the ports of `scoring`.

Here: every SQL statement that writes (`job_store`, `catalog`, `schedule_store`, `static_data`), how values lie in rows
(`rows`, `documents`), lists for the API (`listing`), the engine and its one kind of transaction (`engine`), bringing a
database to a revision (`migrate`). Migrations and `tables` are proven equal by a test.
Not here: what a row means, which move a job may make: `scoring` decides that.
"""
