from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.cli.main import root
from infra.client.address import keep_token


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path))
    monkeypatch.setenv("TIDEMILL_API_URL", "http://service")
    monkeypatch.delenv("TIDEMILL_TOKEN", raising=False)


def said(*args: str) -> str:
    result = CliRunner().invoke(root, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_what_a_script_sets_it_gets_back() -> None:
    assert said("account", "show", "--query", "id", "-o", "tsv") == "local\n"
    assert said("account", "set", "--subscription", "mine") == ""
    assert said("account", "show", "--query", "id", "-o", "tsv") == "mine\n"
    assert said("configure", "--defaults", "workspace=w1", "group=g1", "location=l1") == ""
    query = "[?name=='workspace'].value"
    assert said("configure", "-l", "--query", query, "-o", "tsv") == "w1\n"
    assert said("group", "show", "--query", "name", "-o", "tsv") == "g1\n"
    assert said("workspace", "show", "--query", "location", "-o", "tsv") == "local\n"


def test_the_access_token_is_this_machines_own() -> None:
    ask = ("account", "get-access-token", "--resource", "https://ml.azure.com", "--query", "accessToken", "-o", "tsv")
    assert said(*ask) == "none-wanted\n"
    keep_token("secret")
    assert said(*ask) == "secret\n"


def test_a_default_that_is_no_pair_is_refused() -> None:
    result = CliRunner().invoke(root, ["configure", "--defaults", "workspace"])
    assert "wanted NAME=VALUE" in str(result.exception)
