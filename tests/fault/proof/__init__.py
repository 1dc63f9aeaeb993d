"""Proof that no reading is lost or counted twice: faults of every kind, and the rows of an undisturbed run each time.

Here: readings that go on arriving (`feed`), workers that die or freeze where they are told to (`worker`, `crew`), what
an undisturbed run makes of the same topic (`result`), one module for each kind of fault, and all of them with full
counts as one command: `python -m tests.fault.proof`. The tests beside this folder run the same with small counts.
Not here: what a window holds (tests/property has the model), the jobs' faults (tests/fault/test_*_kill.py).
"""
