"""Mergeable aggregates of a window's readings: one a file, a registry by name, one contract suite for all.

Here: how a window's readings become the columns of its row, as numpy arrays with one place ("slot") per open window.
Not here: which reading belongs to which window, and when a window closes (`ingestion.aggregator`).

Every sum is a left fold in the order of the offsets, so that a window's row depends on its readings alone: not on how
they were cut into polls, commits or lives of the worker. `merge` joins the states of two parts of a window.
"""

from __future__ import annotations

from importlib import import_module

from ingestion.aggregates.slots import Aggregate

AGGREGATES = {
    "count": "ingestion.aggregates.count:Count",
    "moments": "ingestion.aggregates.moments:Moments",
    "extremes": "ingestion.aggregates.extremes:Extremes",
    "last": "ingestion.aggregates.last:Last",
    "quantile": "ingestion.aggregates.quantile:Quantile",
}
"""Name of an aggregate -> where it lives. Columns of different aggregates must not share a name."""


def create(name: str) -> Aggregate:
    """A fresh aggregate without slots. Raises KeyError for an unknown name."""
    module, attribute = AGGREGATES[name].split(":")
    aggregate: Aggregate = getattr(import_module(module), attribute)()
    return aggregate
