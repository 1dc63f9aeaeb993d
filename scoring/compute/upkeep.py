"""Keeps the instances in step with the clusters that are stored, and warm ones ready before the first job."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scoring.compute.cluster import Compute
from scoring.compute.local import LocalCompute
from scoring.deployment import Deployment
from scoring.errors import ScoringError

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """A loop of the service.

    clusters     those that are stored
    deployments  those that a warm cluster should be ready for: the endpoints' default ones
    """

    compute: LocalCompute
    clusters: Callable[[], Sequence[Compute]]
    deployments: Callable[[], Iterable[Deployment]]

    def serve(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.look()
            except ScoringError as away:
                _log.info("the clusters were not looked after: %s", away)
            stop.wait(_LOOK_SECONDS)

    def look(self) -> None:
        """Once. Raises TryAgain while the stores are away."""
        clusters = {cluster.name: cluster for cluster in self.clusters()}
        for cluster in clusters.values():
            self.compute.fleet.configure(cluster)
        if not any(cluster.min_instances for cluster in clusters.values()):
            return
        for deployment in self.deployments():
            found = clusters.get(deployment.compute)
            if found is None or not found.min_instances:
                continue
            try:
                self.compute.warm_up(deployment, found)
            except (OSError, ScoringError) as error:
                _log.info("deployment %s is not made ready beforehand: %s", deployment.name, error)
