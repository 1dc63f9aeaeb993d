"""A stand-in for the service: the two routes that pages ask, answered with what a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infra.api.stream_look import StreamLook
from ingestion.checkpoint import Counters, Progress


@contextmanager
def service(stream: dict[str, Any]) -> Iterator[str]:
    """The base URL of a server on a free port of loopback, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = {"/healthz": {"status": "ok"}, "/stream": stream}
            body = json.dumps(known.get(self.path, {"error": {"code": "NotFound", "message": self.path}})).encode()
            self.send_response(200 if self.path in known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def stream_answer(*, now: datetime | None = None, lags: tuple[int, ...] = (0, 12, 0, 5)) -> dict[str, Any]:
    """What GET /stream says of a healthy stream with a few bad messages: the service's own words for such a state."""
    now = now or datetime.now(UTC)
    consumed = {number: 1_552_300 + 7_919 * number for number in range(len(lags))}
    progress = {
        number: Progress(
            partition=number,
            next_offset=offset,
            counters=Counters(
                accepted=offset - 90 - number * 11,
                late=35 - number,
                duplicates=40 + number * 7,
                windows=offset // 60,
                dead_letters={"invalid_json": 7 + number, "not_finite": 3} if number % 2 == 0 else {"invalid_json": 2},
            ),
            watermark_min=now - timedelta(seconds=33 + number),
            watermark_max=now - timedelta(seconds=31 + number),
            last_commit_at=now - timedelta(seconds=2 + number),
            machines=3,
            open_windows=18,
            freshness={int(now.timestamp() // 60): {45: 700, 50: 260, 52: 40}},
        )
        for number, offset in consumed.items()
    }
    ends = {number: consumed[number] + lag for number, lag in enumerate(lags)}
    streams = [
        {
            "name": name,
            "state": state,
            "topic": "sensor-readings",
            "table": name,
            "rows": rows,
            "lag": lag,
            "dead_letters": refused,
            "watermark": (now - timedelta(seconds=31)).isoformat(),
            "last_commit_at": (now - timedelta(seconds=2)).isoformat(),
            "problem": None,
        }
        for name, state, rows, lag, refused in (
            ("windows", "ready", 103_680, sum(lags), 9),
            ("pump_shift", "ready", 4_312, 0, 2),
        )
    ]
    look = StreamLook(
        lambda: progress, lambda: ends, topic="sensor-readings", open_letters=lambda: 9, streams=lambda: streams
    )
    return look()
