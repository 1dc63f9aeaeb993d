"""Numbers, times and names as people read them. Pure; every time is UTC."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pandas as pd

_UNITS = {"degC": "°C", "m3/h": "m³/h"}
NOTHING = "–"


def count(number: float | None) -> str:
    """1,204 · 38.2 k · 1.25 M"""
    if number is None or pd.isna(number):
        return NOTHING
    if abs(number) < 10_000:
        return f"{number:,.0f}"
    for limit, size, suffix in ((1e6, 1e3, "k"), (1e9, 1e6, "M"), (math.inf, 1e9, "G")):
        if abs(number) < limit:
            return f"{number / size:.3g} {suffix}" if abs(number / size) < 1000 else f"{number / size:,.0f} {suffix}"
    return NOTHING


def rate(number: float | None) -> str:
    """0.4 · 71.8 · 1,250"""
    if number is None or pd.isna(number):
        return NOTHING
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def score(number: float | None) -> str:
    return NOTHING if number is None or pd.isna(number) else f"{number:.2f}"


def share(ratio: float | None) -> str:
    """97 % · 99.8 %: never rounded up to a whole that it is not."""
    if ratio is None or pd.isna(ratio):
        return NOTHING
    percent = ratio * 100
    return f"{math.floor(percent * 10) / 10:.1f} %" if 99 <= percent < 100 else f"{percent:.0f} %"


def size(number: float) -> str:
    """7.2 MB"""
    for suffix in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {suffix}"
        number /= 1000
    return f"{number:.3g} TB"


def duration(seconds: float | None) -> str:
    """0.4 s · 9 s · 3 min 20 s · 2 h 05 min · 3 d 4 h"""
    if seconds is None or pd.isna(seconds):
        return NOTHING
    seconds = max(0.0, float(seconds))
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole < 600 and whole % 60 else "")
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def ago(moment: datetime | None, now: datetime) -> str:
    """4 s ago · in 6 min · never"""
    if moment is None or pd.isna(moment):
        return "never"
    seconds = (now - moment).total_seconds()
    return f"in {duration(-seconds)}" if seconds < -1 else f"{duration(round(seconds))} ago"


def clock(moment: datetime | None) -> str:
    """21 Nov 12:24:07"""
    if moment is None or pd.isna(moment):
        return NOTHING
    return moment.astimezone(UTC).strftime("%d %b %H:%M:%S")


def minute(moment: datetime | None) -> str:
    """21 Nov 12:24"""
    if moment is None or pd.isna(moment):
        return NOTHING
    return moment.astimezone(UTC).strftime("%d %b %H:%M")


def quantity(name: str) -> str:
    """bearing_temperature -> Bearing temperature"""
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def unit(name: str | None) -> str:
    """degC -> °C"""
    return "" if name is None or pd.isna(name) else _UNITS.get(name, name)


def plural(number: int, one: str, many: str | None = None) -> str:
    """1 job · 3 jobs"""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"
