"""Compute YAML: Azure's keys, ours, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from scoring.compute.cluster import Compute
from scoring.errors import InvalidInput
from scoring.specs.compute import ComputeSpec
from scoring.specs.document import read_document
from scoring.specs.shown import to_document
from scoring.specs.validation import parse, without_effect


def spec(tmp_path: Path, text: str) -> ComputeSpec:
    file = tmp_path / "compute.yml"
    file.write_text(text)
    return parse(ComputeSpec, read_document(str(file)))


def test_azures_own_example(tmp_path: Path) -> None:
    found = spec(
        tmp_path,
        "$schema: https://azuremlschemas.azureedge.net/latest/amlCompute.schema.json\n"
        "name: low-pri-example\ntype: amlcompute\nsize: STANDARD_DS3_v2\nmin_instances: 0\nmax_instances: 2\n"
        "idle_time_before_scale_down: 120\ntier: low_priority\nlocation: westus\n"
        "ssh_public_access_enabled: true\nssh_settings:\n  admin_username: me\nnetwork_settings: {vnet_name: v}\n"
        "identity: {type: system_assigned}\ntags: {team: ops}\n",
    )
    assert found.compute() == Compute(
        name="low-pri-example",
        size="STANDARD_DS3_v2",
        max_instances=2,
        tier="low_priority",
        tags={"team": "ops"},
    )
    assert set(without_effect(found)) == {
        "identity",
        "location",
        "network_settings",
        "ssh_public_access_enabled",
        "ssh_settings",
    }


def test_only_a_name_is_needed(tmp_path: Path) -> None:
    assert spec(tmp_path, "name: cpu\n").compute() == Compute(name="cpu")


def test_what_is_shown_can_be_read_again(tmp_path: Path) -> None:
    import yaml

    cluster = Compute(name="cpu", worker_memory_mb=512, min_instances=1, tags={"a": "1"})
    assert spec(tmp_path, yaml.safe_dump(to_document(cluster))).compute() == cluster


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("type: computeinstance", "amlcompute"),
        ("tier: cheap", "low_priority"),
        ("min_instances: 5", "min_instances is 5, more than max_instances, 4"),
        ("max_instances: 0", "max_instances"),
        ("idle_time_before_scale_down: -1", "idle_time_before_scale_down"),
        ("worker_memory_mb: 8", "worker_memory_mb"),
        ("max_nodes: 5", "max_nodes"),
    ],
)
def test_what_is_refused_names_the_file_the_line_and_the_mend(tmp_path: Path, line: str, refusal: str) -> None:
    with pytest.raises(InvalidInput, match=r"compute\.yml") as refused:
        spec(tmp_path, f"name: cpu\n{line}\n")
    assert refusal in str(refused.value)
    assert "\n" not in str(refused.value)
