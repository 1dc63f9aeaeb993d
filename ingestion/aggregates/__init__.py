"""What is computed of a window's readings: functions by name, the parts that they read, one contract suite for all.

Here: how a window's readings become the columns of its row, as numpy arrays with one place ("slot") per open window.
A function (`functions`) reads its result from parts; functions of one column share their parts, and nothing is kept
that no declared function reads. `spec` checks what users declare, `folding` folds it.
Not here: which reading belongs to which window, and when a window closes (`ingestion.aggregator`).

Every sum is a left fold in the order of the offsets, so that a window's row depends on its readings alone: not on how
they were cut into polls, commits or lives of the worker. `merge` joins the states of two parts of a window.

A function of your own: a class with the methods of `slots.Part` (most derive from `slots.SlotArrays`), and a `Function`
that names it, given to `functions.register`.
"""

from __future__ import annotations

from ingestion.aggregates import count, course, ends, extremes, latest, moments, quantile

__all__ = ["count", "course", "ends", "extremes", "latest", "moments", "quantile"]
