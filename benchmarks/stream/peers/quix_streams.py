"""Quix Streams without its state store: a stateless update into a dict, the fastest way that it has."""

from __future__ import annotations

import sys
import tempfile
import uuid

from quixstreams import Application
from result import Start, Windows, fold, started, told, write

bootstrap, name, messages, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
app = Application(
    bootstrap,
    consumer_group=f"bench-{uuid.uuid4()}",
    auto_offset_reset="earliest",
    state_dir=tempfile.mkdtemp(),
    loglevel="ERROR",
    use_changelog_topics=False,
)
windows: Windows = {}
began: Start | None = None


def take(reading: dict[str, object]) -> None:
    global began
    if not began:
        began = started()
    fold(windows, reading)


frame = app.dataframe(app.topic(name, value_deserializer="json"))
frame.update(take)
app.run(count=messages, collect=False)
write(windows, out)
assert began is not None
told(began)
