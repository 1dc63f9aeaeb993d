"""Command lines and paths with `${{…}}` in them.

`${{inputs.x}}` and `${{outputs.x}}` stand for a path or a literal. What stands in `$[[ … ]]` is left out where an
input in it has no value; brackets that hold no `${{inputs.…}}` are left as they are: a shell gets them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from scoring.components.binding import EXPRESSION
from scoring.components.declared import InputDeclaration, OutputDeclaration
from scoring.errors import InvalidInput

_FRAGMENT = re.compile(r"\$\[\[(?P<inside>(?:(?!\$\[\[|\]\]).)*\$\{\{(?:(?!\$\[\[|\]\]).)*)\]\]", re.DOTALL)
_USED = re.compile(r"(inputs|outputs)\.([A-Za-z0-9_][-A-Za-z0-9_]*)")

PATH_NAMES = ("default_datastore", "name", "output_name")
"""What may stand between `${{` and `}}` in an output's path."""


def rendered(template: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> str:
    """The command line; `inputs` holds the text of every input that has a value. Names were checked by `wrong_use`.

    Raises InvalidInput for an input without a value outside of `$[[ … ]]`.
    """
    given = {"inputs": inputs, "outputs": outputs}

    def filled(found: re.Match[str]) -> str:
        used = _USED.fullmatch(found[1])
        if used is None or used[2] not in given[used[1]]:
            raise InvalidInput(f"{found.group()} has no value; write $[[ … ]] around what is left out then")
        return given[used[1]][used[2]]

    def kept(found: re.Match[str]) -> str:
        names = [used[2] for used in _uses(found["inside"]) if used[1] == "inputs"]
        return found["inside"] if all(name in inputs for name in names) else ""

    return EXPRESSION.sub(filled, _FRAGMENT.sub(kept, template))


def wrong_use(
    template: str, inputs: Mapping[str, InputDeclaration], outputs: Mapping[str, OutputDeclaration]
) -> str | None:
    """What is wrong with a command's expressions, in words; None where nothing is."""
    for found in EXPRESSION.finditer(template):
        used = _USED.fullmatch(found[1])
        if used is None:
            return (
                f"found the expression '{found.group()[:80]}', allowed: ${{{{inputs.NAME}}}} and ${{{{outputs.NAME}}}}"
            )
        known: Mapping[str, object] = inputs if used[1] == "inputs" else outputs
        if used[2] not in known:
            has = ", ".join(sorted(known)) or "none"
            return f"found {found.group()[:80]}, but there is no such {used[1][:-1]}; there are: {has}"
    for used in _uses(_FRAGMENT.sub("", template)):
        if used[1] == "inputs" and inputs[used[2]].optional and inputs[used[2]].default is None:
            return (
                f"input {used[2]} is optional; write $[[ … ${{{{inputs.{used[2]}}}}} … ]] around what is left out then"
            )
    return None


def _uses(text: str) -> Iterator[re.Match[str]]:
    for found in EXPRESSION.finditer(text):
        used = _USED.fullmatch(found[1])
        if used is not None:
            yield used


def expanded_path(path: str, *, name: str, output_name: str, default_datastore: str) -> str:
    """An output's path with the job's name, the output's and the datastore in it. Raises InvalidInput for another."""
    known = {"name": name, "output_name": output_name, "default_datastore": default_datastore}

    def filled(found: re.Match[str]) -> str:
        if found[1] not in known:
            raise InvalidInput(wrong_in_path(path) or "")
        return known[found[1]]

    return EXPRESSION.sub(filled, path)


def wrong_in_path(path: str) -> str | None:
    """What is wrong with a path's expressions, in words; None where nothing is."""
    for found in EXPRESSION.finditer(path):
        if found[1] not in PATH_NAMES:
            allowed = ", ".join(f"${{{{{name}}}}}" for name in PATH_NAMES)
            return f"found the expression '{found.group()[:80]}', allowed: {allowed}"
    return None
