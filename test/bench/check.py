"""The check that a Python gateway's startup probe makes, bare: the script folder's heads against the table's.

Exits with 0 when they are the same. ALEMBIC_CONFIG names the configuration, DATABASE_URL the database.
"""

import os
import sys

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool


def is_at_head():
    scripts = ScriptDirectory.from_config(Config(os.environ["ALEMBIC_CONFIG"]))
    engine = create_engine(os.environ["DATABASE_URL"], poolclass=NullPool)
    with engine.connect() as connection:
        applied = MigrationContext.configure(connection).get_current_heads()
    return set(applied) == set(scripts.get_heads())


sys.exit(0 if is_at_head() else 1)
