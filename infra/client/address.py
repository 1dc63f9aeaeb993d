"""Where the service answers, and with which token: the environment's word, else what lies in the state directory.

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
    home = _home()
    try:
        found = json.loads((home / "stack.json").read_text())["api_url"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidInput(
            f"no stack is known in {home}; start one with `tidemill up`, name its --home, or set TIDEMILL_API_URL"
        ) from None
    return str(found)


def token_file() -> Path:
    """Where this machine's own token lies, readable by its owner alone."""
    return _home() / "token"


def service_token(base_url: str) -> str | None:
    """TIDEMILL_TOKEN, else the state directory's token, which goes to its own service and to no other.

    Raises InvalidInput where others can read the file.
    """
    given = os.environ.get("TIDEMILL_TOKEN", "").strip()
    if given:
        return given
    file = token_file()
    try:
        if service_url().rstrip("/") != base_url.rstrip("/"):
            return None
        mode, text = file.stat().st_mode, file.read_text().strip()
    except (OSError, InvalidInput):
        return None
    if mode & 0o077:
        raise InvalidInput(f"others can read it; run: chmod 600 {file}", place=str(file))
    return text or None


def keep_token(token: str) -> Path:
    """Write the state directory's token. Raises InvalidInput where it cannot be written."""
    file = token_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
            written.write(token + "\n")
    except OSError as error:
        raise InvalidInput(f"cannot be written: {error.strerror}", place=str(file)) from None
    return file


def _home() -> Path:
    return Path(os.environ.get("TIDEMILL_HOME") or ".tidemill").expanduser().resolve()
