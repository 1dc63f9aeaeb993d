"""The pages in headless Chromium: a real Streamlit server on seeded stores, as `tidemill dashboard run` starts it.

The pictures go to the folder that SCREENSHOTS names (see `make screenshots`), else to the test's own.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import sqlalchemy as sa
from deltalake import DeltaTable, write_deltalake
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, WebSocket, expect, sync_playwright

from dashboard import words
from infra.devstack.ports import free_ports
from storage.lake.tables import LATE_READINGS
from storage.queries import alerts
from storage.queries.stores import Stores
from tests import plant as plants
from tests.plant import Plant
from tests.stand_in import service, stream_answer

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(600)]

CHROMIUM = Path("/usr/bin/chromium")
INSTALL = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
LIMIT = 90_000  # ms, for a busy machine
WIDTH, HEIGHT = 1440, 900
LIVE = "pump-health-rescore-week"
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


@pytest.fixture(scope="module")
def chromium() -> Path:
    """Debian's Chromium; it is installed where it is missing and we may."""
    if CHROMIUM.exists():
        return CHROMIUM
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.fail(f"{CHROMIUM} is missing: install it with `sudo {' '.join(INSTALL)}`")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], env=environment, timeout=180, check=False)
    done = subprocess.run(INSTALL, env=environment, timeout=400, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.fail(f"`{' '.join(INSTALL)}` failed; run it by hand: {done.stderr[-500:]}")
    return CHROMIUM


@pytest.fixture(scope="module")
def plant(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with plants.database(postgres_url) as url:
        yield plants.seed(tmp_path_factory.mktemp("home") / "lake", url)


@pytest.fixture(scope="module")
def site(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the pages."""
    (port,) = free_ports(1)
    log = tmp_path_factory.mktemp("log") / "dashboard.log"
    with service(stream_answer()) as api_url, log.open("wb") as out:
        environment = {
            **os.environ,
            "TIDEMILL_HOME": str(plant.lake.parent),
            "TIDEMILL_POSTGRES_URL": plant.database_url,
            "TIDEMILL_API_URL": api_url,
            "TIDEMILL_KAFKA_BOOTSTRAP": "127.0.0.1:9",
            "TIDEMILL_DASHBOARD_URL": f"http://127.0.0.1:{port}",
        }
        command = [sys.executable, "-m", "infra.cli.main", "dashboard", "run", "--port", str(port)]
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/_stcore/health"), lambda: log.read_text()[-2000:])
            yield f"http://127.0.0.1:{port}"
            assert server.poll() is None
            assert "Traceback" not in log.read_text()
        finally:
            server.terminate()
            server.wait(90)


@pytest.fixture(scope="module")
def browser(chromium: Path, site: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(chromium), args=FLAGS, timeout=LIMIT)
        yield started
        started.close()


@dataclass
class Seen:
    """What the browser noticed while a page was open."""

    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def page(browser: Browser, seen: Seen, site: str) -> Iterator[Page]:
    expect.set_options(timeout=LIMIT)
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, timezone_id="America/New_York")
    context.set_default_timeout(LIMIT)
    page = context.new_page()

    def console(message: ConsoleMessage) -> None:
        # a page opened by its address looks for Streamlit's server below that address first, and is told no
        if message.type == "error" and "/_stcore/" not in message.location.get("url", ""):
            seen.errors.append(f"{message.text} ({message.location})")

    def socket(web_socket: WebSocket) -> None:
        seen.hosts.add(urlsplit(web_socket.url).netloc)

    page.on("console", console)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("request", lambda request: seen.hosts.add(urlsplit(request.url).netloc))
    page.on("websocket", socket)
    yield page
    context.close()
    assert seen.errors == []
    assert seen.hosts - {""} == {urlsplit(site).netloc}, "nothing is asked of anybody else"


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=20) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def until(met: Callable[[], bool], told: Callable[[], str], *, limit: float = 90) -> None:
    deadline = time.monotonic() + limit
    while not met():
        assert time.monotonic() < deadline, f"not within {limit} s: {told()}"
        time.sleep(0.3)


def metric(page: Page, label: str) -> str:
    found = page.get_by_test_id("stMetric").filter(has=page.get_by_text(label, exact=True))
    return found.get_by_test_id("stMetricValue").inner_text(timeout=LIMIT).strip()


def settled(page: Page, title: str) -> None:
    """The page has its title, has run to its end, and shows no exception and no developer's tools."""
    page.get_by_role("heading", name=title).first.wait_for(timeout=LIMIT)
    page.get_by_text("Event time" if title != "Jobs" else "Schedules").first.wait_for(timeout=LIMIT)
    expect(page.locator("[data-testid=stStatusWidget]")).to_have_count(0, timeout=LIMIT)
    for unwanted in ("stException", "stAppDeployButton", "stMainMenu", "stAlertContentError"):
        expect(page.get_by_test_id(unwanted)).to_have_count(0)


def shoot(page: Page, name: str, folder: Path) -> Path:
    """The whole page, 1440 px wide; fewer shades keep the file small and every colour apart."""
    # Streamlit scrolls inside the page: only a window as high as its content shows all of it
    high = 0
    for _ in range(8):
        page.wait_for_timeout(1500)  # tables and charts are drawn anew, and nothing says when
        now = int(page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight"))
        if now == high:
            break
        high = now
        page.set_viewport_size({"width": WIDTH, "height": min(high, 4000)})
    # while a fragment runs again, what it has not drawn anew yet is pale
    expect(page.locator("[data-stale=true]")).to_have_count(0, timeout=LIMIT)
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    picture.point(lambda shade: min(255, (shade + 4) // 8 * 8)).save(path, optimize=True)
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    assert picture.width == WIDTH
    assert len(picture.getcolors(1 << 24) or []) > 100, "the page is not blank"
    assert path.stat().st_size < 300_000
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(os.environ.get("SCREENSHOTS") or tmp_path)


def test_the_stream(page: Page, site: str, folder: Path) -> None:
    page.goto(f"{site}/stream")
    settled(page, "Stream")
    assert metric(page, "Lag") == "17"
    assert metric(page, "Dead letters") == "26"
    # the chart of the lag fills while somebody looks
    page.get_by_text("Looked at too few times yet").wait_for(state="detached", timeout=LIMIT)
    assert metric(page, "Readable within") == "1.2 s"
    expect(page.get_by_text("9 open")).to_be_visible()
    shoot(page, "stream", folder)


def test_the_alerts(page: Page, site: str, plant: Plant, folder: Path) -> None:
    page.goto(f"{site}/alerts")
    settled(page, "Alerts")
    told = alerts.episodes(Stores(lake=plant.lake))
    assert metric(page, "Firing now") == words.count(int((told["state"] == "firing").sum()))
    assert metric(page, "In the chosen time") == words.count(len(told))
    expect(page.get_by_text("History")).to_be_visible()
    shoot(page, "alerts", folder)
    machine = told["machine_id"][0]
    page.get_by_role("link", name=machine).first.click()
    page.wait_for_url(f"**/predictions?*machine={machine}*", timeout=LIMIT)


def test_the_jobs(page: Page, site: str, folder: Path) -> None:
    page.goto(f"{site}/jobs?job=pump-health-backfill-0412")
    settled(page, "Jobs")
    expect(page.get_by_text("ValueError: feature vibration_mean is missing").first).to_be_visible()
    page.goto(f"{site}/jobs")
    settled(page, "Jobs")
    expect(page.get_by_role("heading", name=LIVE)).to_be_visible()
    expect(page.get_by_text("148 of 240 mini-batches")).to_be_visible()
    shoot(page, "jobs", folder)


def test_the_predictions(page: Page, site: str, plant: Plant, folder: Path) -> None:
    page.goto(f"{site}/predictions?machine={plant.machines[0]}")
    settled(page, "Predictions")
    mine = plant.predictions[plant.predictions["machine_id"] == plant.machines[0]]
    assert metric(page, "Windows scored") == words.count(len(mine))
    assert metric(page, "Anomalous") == words.count(int((mine["label"] == "anomaly").sum()))
    assert metric(page, "Worst score") == words.score(mine["score"].max())
    expect(page.locator("[data-testid=stVegaLiteChart]")).to_have_count(7, timeout=LIMIT)
    shoot(page, "predictions", folder)
    page.get_by_role("combobox").first.click()
    page.get_by_role("option", name=plant.machines[4]).click()
    page.wait_for_url(f"**/predictions?*machine={plant.machines[4]}*", timeout=LIMIT)


def test_the_overview(page: Page, site: str, plant: Plant, folder: Path) -> None:
    page.goto(site)
    settled(page, "Overview")
    anomalous = int((plant.predictions["label"] == "anomaly").sum())
    assert metric(page, "Anomalous windows") == words.count(anomalous)
    # one or the other, as the oldest one may get older than that just now
    jobs, now = metric(page, "Jobs, last 24 h"), datetime.now(UTC)
    ended = [
        [job for job in plant.jobs if job.ended_at and job.ended_at > now - day] for day in (DAY, DAY + 3 * MINUTE)
    ]
    assert jobs in [words.count(len(those)) for those in ended]
    assert metric(page, "Stream lag") == "17"
    expect(page.get_by_text("harbour-pump-02/flow").first).to_be_visible()
    expect(page.locator("[data-testid=stVegaLiteChart]").first).to_be_visible()
    shoot(page, "overview", folder)


def test_one_walks_from_page_to_page(page: Page, site: str) -> None:
    page.goto(site)
    settled(page, "Overview")
    for name in ("Stream", "Alerts", "Jobs", "Predictions", "Overview"):
        page.get_by_role("link", name=name, exact=True).first.click()
        settled(page, name)
    page.get_by_role("link", name="Look").first.click()
    page.wait_for_url(lambda url: urlsplit(url).path != "/", timeout=LIMIT)


def test_new_rows_appear_by_themselves(page: Page, site: str, plant: Plant) -> None:
    page.goto(site)
    settled(page, "Overview")
    anomalous = int((plant.predictions["label"] == "anomaly").sum())
    late = int(metric(page, "Late readings"))
    assert metric(page, "Anomalous windows") == words.count(anomalous)

    engine = sa.create_engine(plant.database_url)
    with engine.begin() as connection:
        newest = "(select machine_id, window_start from predictions where label = 'normal' order by 2 desc, 1 limit 1)"
        changed = f"update predictions set label = 'anomaly' where (machine_id, window_start) = {newest}"
        assert connection.execute(sa.text(changed)).rowcount == 1
    engine.dispose()
    readings = DeltaTable(str(LATE_READINGS.path(plant.lake))).to_pyarrow_table()
    write_deltalake(str(LATE_READINGS.path(plant.lake)), readings.slice(70, 3), mode="append")

    def shown() -> str:
        return f"{metric(page, 'Anomalous windows')} anomalous, {metric(page, 'Late readings')} late"

    until(lambda: shown() == f"{words.count(anomalous + 1)} anomalous, {words.count(late + 3)} late", shown)
