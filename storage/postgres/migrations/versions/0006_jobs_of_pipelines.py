"""jobs of commands and pipelines

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("kind", sa.Text(), server_default="scoring", nullable=False))
    op.add_column("jobs", sa.Column("parent_name", sa.Text()))
    op.add_column("jobs", sa.Column("fingerprint", sa.Text()))
    op.create_index("ix_jobs_parent_name", "jobs", ["parent_name"])
    op.create_index("ix_jobs_fingerprint", "jobs", ["fingerprint"])


def downgrade() -> None:
    op.drop_index("ix_jobs_fingerprint", "jobs")
    op.drop_index("ix_jobs_parent_name", "jobs")
    op.drop_column("jobs", "fingerprint")
    op.drop_column("jobs", "parent_name")
    op.drop_column("jobs", "kind")
