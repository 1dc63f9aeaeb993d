"""Alembic's environment and the revisions. A revision that was released is never edited: add the next one.

Not here: the schema itself, which is `storage.postgres.tables`; a test proves that the revisions lead to it.
"""
