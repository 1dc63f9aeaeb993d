from __future__ import annotations

import subprocess
import sys

FREED = """
import time
import psutil
from ingestion.stream import lean_process

def taken():
    return psutil.Process().memory_full_info().uss / 2**20

lean_process.GIVEN_BACK_SECONDS = 0.1
lean_process.become_lean()
blocks = [b"x" * 2**20 for _ in range(300)]
last = b"x" * 2**20
full = taken()
del blocks
deadline = time.monotonic() + 120
while taken() > full - 200:
    assert time.monotonic() < deadline, f"{full:.0f} MiB when all was held, {taken():.0f} with 300 of them free"
    time.sleep(0.05)
"""


def test_what_is_free_goes_back_although_something_behind_it_is_held() -> None:
    ended = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stderr
