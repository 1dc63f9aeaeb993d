"""Laws that say nothing else are tried on a hundred examples, and never fail for being slow: machines are shared."""

from __future__ import annotations

from hypothesis import settings

from tests.effort import examples

settings.register_profile("tidemill", max_examples=examples(100), deadline=None)
settings.load_profile("tidemill")
