"""What is asked for when an access token is made."""

from __future__ import annotations

from scoring.specs.fields import AssetName
from scoring.specs.validation import Spec


class TokenSpec(Spec):
    """Keys of `token create`: a name by which it can be revoked."""

    name: AssetName = "default"
