"""How the dashboard's server is started."""

from __future__ import annotations

from infra.cli.dashboard import arguments, script


def test_the_server_listens_where_it_is_told_and_keeps_to_itself() -> None:
    options = dict(
        flag.removeprefix("--").split("=", 1) for flag in arguments("127.0.0.1", 8601) if flag.startswith("--")
    )
    assert (options["server.address"], options["server.port"]) == ("127.0.0.1", "8601")
    assert options["browser.gatherUsageStats"] == "false"
    assert options["server.fileWatcherType"] == "none"
    assert options["server.enableXsrfProtection"] == "true"
    assert options["server.enableAgentApi"] == "false"
    assert options["client.showErrorDetails"] == "none"


def test_streamlit_knows_every_option() -> None:
    from streamlit import config

    for flag in arguments("127.0.0.1", 8601):
        if flag.startswith("--"):
            config.get_option(flag.removeprefix("--").split("=", 1)[0])


def test_the_entry_script_exists() -> None:
    assert script().is_file()
