"""The Python client of the service: `TidemillClient`, with the service's nouns. It gives and takes plain dicts.

Here: the connection (`connection`: time limits, repeats, errors), one file a noun, and the client that holds them.
Errors are the classes of `scoring.errors`, as if the service were in this process.

Not here: files. Documents are parsed and their paths made absolute by `scoring.specs`, before they come here.
"""

from infra.client.client import TidemillClient

__all__ = ["TidemillClient"]
