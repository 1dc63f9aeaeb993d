"""A registered environment: what a scoring script needs installed. Making it is `scoring.environments`' part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ANONYMOUS_ENVIRONMENT = "CliV2AnonymousEnvironment"
"""The name under which environments written into a deployment are kept; their version is their content's hash."""


@dataclass(frozen=True, kw_only=True)
class BuildContext:
    """`path` is the registry's copy of the folder; `dockerfile_path` is relative to it."""

    path: str
    dockerfile_path: str = "Dockerfile"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One version of an environment: an image, a conda file, or a folder to build from.

    conda_file    what the conda file says: name, channels, dependencies (texts, and one {"pip": [texts]})
    content_hash  sha256 over image, conda_file, build and the rest that decides what is installed
    """

    name: str
    version: str
    content_hash: str
    image: str | None = None
    conda_file: Mapping[str, Any] | None = None
    build: BuildContext | None = None
    os_type: str = "linux"
    inference_config: Mapping[str, Any] | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    is_archived: bool = False
    is_anonymous: bool = False
    created_at: datetime | None = None

    def __str__(self) -> str:
        return f"azureml:{self.name}:{self.version}"
