"""Where the service answers: the environment's word, else what the running stack wrote down.

The same rule as `infra.settings`, for this one address: a command that only asks the service must not load the packages
that settings of the stream need (it would take longer than its work).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from scoring.errors import InvalidInput


def service_url() -> str:
    """TIDEMILL_API_URL, else `api_url` of the state directory's stack.json. Raises InvalidInput if there is neither."""
    given = os.environ.get("TIDEMILL_API_URL")
    if given:
        return given
    home = Path(os.environ.get("TIDEMILL_HOME") or ".tidemill").expanduser().resolve()
    try:
        found = json.loads((home / "stack.json").read_text())["api_url"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidInput(
            f"no stack is known in {home}; start one with `tidemill up`, name its --home, or set TIDEMILL_API_URL"
        ) from None
    return str(found)
