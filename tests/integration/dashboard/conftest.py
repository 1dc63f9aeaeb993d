"""Pages run in process on a seeded plant; the service is a stand-in that answers as the real one would."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from infra.cli.dashboard import script
from tests.plant import Plant, database, seed
from tests.stand_in import service, stream_answer

Open = Callable[..., AppTest]


@pytest.fixture(scope="session")
def plant(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with database(postgres_url) as url:
        yield seed(tmp_path_factory.mktemp("home") / "lake", url, hours=6, sites=("harbour", "north"), pumps=3)


@pytest.fixture(scope="session")
def api_url() -> Iterator[str]:
    with service(stream_answer()) as url:
        yield url


@pytest.fixture
def stack(plant: Plant, api_url: str, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of a dashboard whose stack is well; a test may take parts away."""
    monkeypatch.setenv("TIDEMILL_HOME", str(plant.lake.parent))
    monkeypatch.setenv("TIDEMILL_POSTGRES_URL", plant.database_url)
    monkeypatch.setenv("TIDEMILL_API_URL", api_url)
    monkeypatch.setenv("TIDEMILL_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    monkeypatch.setenv("TIDEMILL_DASHBOARD_URL", "http://127.0.0.1:9")
    return monkeypatch


@pytest.fixture
def open_page(stack: pytest.MonkeyPatch) -> Iterator[Open]:
    """Call it with a page's file and its query parameters; the page has run when it returns."""

    def run(page: str = "views/overview.py", **query: str) -> AppTest:
        st.cache_data.clear()
        app = AppTest.from_file(str(script()), default_timeout=90)
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        if page != "views/overview.py":
            for name, value in query.items():
                app.query_params[name] = value
            app.switch_page(page).run()
        return app

    yield run
    st.cache_data.clear()
    st.cache_resource.clear()
