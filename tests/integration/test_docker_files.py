"""docker-compose.yml and the Dockerfile, checked by the tools that check such files; no engine is needed."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema.validators import validator_for

from infra.cli.main import COMMANDS
from infra.devstack.jars import KAFKA

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "infra" / "docker" / "Dockerfile"
BIN = Path(sys.executable).parent
OWN = ("migrate", "topics", "serve", "stream", "dashboard")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


def schema_errors(document: dict[str, Any]) -> list[str]:
    """Errors against the compose schema that check-jsonschema ships; its command line is not needed for that."""
    package = importlib.util.find_spec("check_jsonschema")
    assert package is not None
    assert package.origin is not None
    schema = json.loads((Path(package.origin).parent / "builtin_schemas/vendor/compose-spec.json").read_text())
    return [error.message for error in validator_for(schema)(schema).iter_errors(document)]


def test_compose_is_valid_by_its_schema(compose: dict[str, Any]) -> None:
    assert schema_errors(compose) == []


def test_the_schema_would_find_a_misspelt_key(compose: dict[str, Any]) -> None:
    wrong = deepcopy(compose)
    wrong["services"]["kafka"]["helthcheck"] = wrong["services"]["kafka"].pop("healthcheck")
    assert any("helthcheck" in error for error in schema_errors(wrong))


def test_compose_lint_has_nothing_grave_to_say() -> None:
    # medium: digest pins, which only whoever publishes or mirrors the images can give
    done = subprocess.run(
        [str(BIN / "compose-lint"), "check", str(COMPOSE)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout
    assert not re.search(r"\b(HIGH|CRITICAL)\b", done.stdout), done.stdout
    assert set(re.findall(r"MEDIUM\s+(CL-\d+)", done.stdout)) <= {"CL-0019"}, done.stdout


def test_compose_lint_would_find_a_privileged_container(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(COMPOSE.read_text().replace("cap_drop: [ALL]", "privileged: true"))
    done = subprocess.run([str(BIN / "compose-lint"), "check", str(wrong)], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0


def test_images_have_exact_versions_and_are_those_that_are_kept(compose: dict[str, Any]) -> None:
    images = {service["image"] for service in compose["services"].values()}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert images == {f"apache/kafka:{KAFKA}", "postgres:18.6", f"tidemill:{version}"}


def test_ports_are_published_on_the_loopback_address_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_own_services_run_commands_that_exist_after_what_they_need(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"postgres", "kafka", *OWN}
    for name in OWN:
        assert services[name]["command"][0] in COMMANDS
        assert services[name]["depends_on"]
    for name in ("serve", "stream"):
        conditions = {need: how["condition"] for need, how in services[name]["depends_on"].items()}
        assert conditions == dict.fromkeys(("migrate", "topics"), "service_completed_successfully")


def test_every_service_that_stays_has_a_healthcheck(compose: dict[str, Any]) -> None:
    without = {
        name
        for name, one in compose["services"].items()
        if one.get("healthcheck", {}).get("disable", not one.get("healthcheck"))
    }
    assert without == {"migrate", "topics"}


def test_no_password_is_written_down() -> None:
    for line in COMPOSE.read_text().splitlines():
        if "PASSWORD" in line and not line.startswith("#"):
            assert "${TIDEMILL_POSTGRES_PASSWORD:?" in line, line


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run([str(BIN / "hadolint"), str(DOCKERFILE)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_find_an_unpinned_image(tmp_path: Path) -> None:
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(re.sub(r"python:[\w.-]+", "python:latest", DOCKERFILE.read_text()))
    done = subprocess.run([str(BIN / "hadolint"), str(wrong)], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0


def test_the_image_copies_files_that_exist_and_does_not_run_as_root() -> None:
    text = DOCKERFILE.read_text()
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, flags=re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
    assert re.search(r"^USER (?!0|root)\S+$", text, flags=re.MULTILINE)
