"""The Python client of the service: `TidemillClient`, with the service's nouns. It gives and takes plain dicts.

Here: the connection (`connection`: time limits, repeats, errors), one file a noun, and the client that holds them.
Errors are the classes of `scoring.errors`, as if the service were in this process.

Not here: YAML. Documents are parsed by `scoring.specs` before they come here; the local files that they name are handed
over to the service (`uploads`), where it does not see them itself.
"""

from infra.client.client import TidemillClient

__all__ = ["TidemillClient"]
