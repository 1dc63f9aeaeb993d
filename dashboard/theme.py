"""Colours and the states' look, in one place: every state has a colour, an icon and a word, never a colour alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

INK = "#1B2733"
FAINT = "#64748B"
GRID = "#E9EDF1"
BLUE = "#0B5C8A"
SKY = "#56B4E9"
VERMILION = "#C0431B"
AMBER = "#E69F00"
GREEN = "#009E73"
PURPLE = "#CC79A7"

HEAT = ("#EEF3F7", "#C3DAE8", "#8DB9D3", "#F2C14E", "#E07B2E", "#A3260F")
"""Calm blues below the threshold, warm above it: the step of hue is where somebody should look."""

FAULTS = {
    "bearing_damage": "#D55E00",
    "cavitation": "#8A4F7D",
    "wear": "#B88A00",
    "sensor_drift": "#009E73",
    "sensor_stuck": "#4B5A8A",
}
OTHER_FAULT = "#64748B"

Colour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """How a state is shown: its badge's colour and icon, its mark where only text fits, its colour in charts."""

    colour: Colour
    icon: str
    mark: str
    hex: str


JOB_STATES: dict[str, Look] = {
    "NotStarted": Look(colour="gray", icon=":material/schedule:", mark="·", hex="#94A3B8"),
    "Queued": Look(colour="gray", icon=":material/hourglass_empty:", mark="○", hex="#94A3B8"),
    "Preparing": Look(colour="blue", icon=":material/pending:", mark="◔", hex=SKY),
    "Provisioning": Look(colour="blue", icon=":material/dns:", mark="◔", hex=SKY),
    "Starting": Look(colour="blue", icon=":material/start:", mark="◔", hex=SKY),
    "Running": Look(colour="blue", icon=":material/play_circle:", mark="▶", hex=BLUE),
    "Finalizing": Look(colour="blue", icon=":material/save:", mark="◕", hex=BLUE),
    "Completed": Look(colour="green", icon=":material/check_circle:", mark="✓", hex=GREEN),
    "Failed": Look(colour="red", icon=":material/error:", mark="✕", hex=VERMILION),
    "CancelRequested": Look(colour="orange", icon=":material/stop_circle:", mark="◌", hex=AMBER),
    "Canceled": Look(colour="gray", icon=":material/block:", mark="–", hex="#94A3B8"),
}
SEVERITIES: dict[str, Look] = {
    "critical": Look(colour="red", icon=":material/error:", mark="▲", hex=VERMILION),
    "warning": Look(colour="orange", icon=":material/warning:", mark="△", hex=AMBER),
    "info": Look(colour="blue", icon=":material/info:", mark="○", hex=BLUE),
}
UNKNOWN = Look(colour="gray", icon=":material/help:", mark="?", hex=FAINT)


def job_state(status: str) -> Look:
    return JOB_STATES.get(status, UNKNOWN)


def severity(name: str) -> Look:
    return SEVERITIES.get(name, UNKNOWN)


def marked(status: str) -> str:
    """`✓ Completed`: the status with its mark, for places that take no icon."""
    return f"{job_state(status).mark} {status}"


def fault_colour(kind: str) -> str:
    return FAULTS.get(kind, OTHER_FAULT)
