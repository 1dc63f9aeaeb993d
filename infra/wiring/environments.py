"""The Python environments that deployments run in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.settings import Settings
from infra.wiring.stores import asset_store, catalog

if TYPE_CHECKING:
    from scoring.environments.deployments import DeploymentEnvironments
    from scoring.environments.store import EnvironmentStore


def environment_store(settings: Settings) -> EnvironmentStore:
    """Finished Python environments of this home."""
    from scoring.environments.store import EnvironmentStore

    return EnvironmentStore(settings.paths.registry / "environments")


def environments(settings: Settings) -> DeploymentEnvironments:
    """Makes and finds the Python environments that deployments ask for."""
    import sys

    from scoring.environment import Environment
    from scoring.environments.deployments import DeploymentEnvironments
    from scoring.environments.interpreters import Interpreter
    from scoring.environments.preparing import Preparer
    from scoring.environments.uv import Uv
    from scoring.specs.references import NamedKind, parse_reference

    assets, stored = asset_store(settings), catalog(settings)
    own = Interpreter(version=sys.version_info[:3], path=sys.executable)
    store = environment_store(settings)
    store.sweep()

    def environment_of(text: str) -> Environment:
        reference = parse_reference(text, NamedKind.ENVIRONMENT)
        return assets.get(Environment, reference.name, reference.version)

    return DeploymentEnvironments(
        Preparer(Uv(), store, python=own),
        environment_of=environment_of,
        model_of=lambda model: stored.model(model.name, model.version),
    )
