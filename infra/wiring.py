"""The only place where a port meets its adapter.

One function a part; imports are inside, so that a process loads only what it runs.
"""

from __future__ import annotations
