"""Alembic's environment and the revisions. A revision that was released is never edited: add the next one."""
