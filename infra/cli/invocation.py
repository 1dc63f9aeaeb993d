"""What `batch-endpoint invoke` was asked for, as one document: the file, then the options, then `--set`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from infra.cli.command import written
from scoring.errors import InvalidInput, ScoringError

if TYPE_CHECKING:
    from infra.client import TidemillClient
    from scoring.specs.document import Document
    from scoring.specs.invocation import InvocationSpec
    from scoring.specs.pipeline_invocation import PipelineInvocationSpec

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")


def invocation_document(
    file: str | None,
    sets: Iterable[str],
    *,
    input_path: str | None = None,
    input_type: str | None = None,
    inputs: str | None = None,
    output_path: str | None = None,
    outputs: str | None = None,
    **options: Any,
) -> Document:
    """An option beats what the file says of the same thing. Paths of options are relative to where they were typed.

    Raises InvalidInput naming the option for one that cannot be read, or that says a thing a second time.
    """
    document = written(file, ())
    for one, many, single, by_name in (
        ("input", "inputs", {"path": input_path, "type": input_type}, inputs),
        ("output", "outputs", {"path": output_path}, outputs),
    ):
        given = {key: value for key, value in single.items() if value is not None}
        if given and by_name is not None:
            raise InvalidInput(f"--{one} is given, too; name the {one} once", place=f"--{many}")
        if by_name is not None:
            document = _without(document, one)
            document = document.with_value((many,), _objects(by_name, f"--{many}"), origin=f"--{many}")
        elif given:
            document = _without(document, many)
            for key, value in given.items():
                origin = f"--{one}-{key}" if (one, key) != ("input", "path") else "--input"
                document = document.with_value((one, key), absolute(value) if key == "path" else value, origin=origin)
    for name, value in options.items():
        if value is not None:
            document = document.with_value((name,), value, origin=f"--{name.replace('_', '-')}")
    return document.with_settings(list(sets))


def parsed_invocation(
    client: TidemillClient, document: Document, endpoint: str | None
) -> InvocationSpec | PipelineInvocationSpec:
    """What the deployment that is meant takes: a model's, or a pipeline's. Raises InvalidInput.

    One that cannot be found is the service's to refuse: the document is read as a model's.
    """
    from scoring.specs.invocation import InvocationSpec
    from scoring.specs.pipeline_invocation import parse_pipeline_invocation
    from scoring.specs.validation import parse

    if _is_of_pipeline(client, document, endpoint):
        return parse_pipeline_invocation(document)
    return parse(InvocationSpec, document)


def _is_of_pipeline(client: TidemillClient, document: Document, endpoint: str | None) -> bool:
    endpoint, deployment = endpoint or document.value.get("endpoint"), document.value.get("deployment")
    if not isinstance(endpoint, str):
        return False
    try:
        if not isinstance(deployment, str):
            deployment = client.batch_endpoints.show(endpoint)["defaults"]["deployment_name"]
        return deployment is not None and client.batch_deployments.show(endpoint, deployment).get("type") == "pipeline"
    except ScoringError:
        return False


def absolute(path: str) -> str:
    """Relative to where it was typed; references and addresses stay."""
    if _SCHEME.match(path):
        return path
    whole = os.path.abspath(os.path.expanduser(path))
    return whole + "/" if path.endswith("/") and whole != "/" else whole


def _without(document: Document, key: str) -> Document:
    return replace(document, value={name: value for name, value in document.value.items() if name != key})


def _objects(text: str, option: str) -> dict[str, Any]:
    """`{"data": {"type": …, "path": …}}`."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"found '{text[:60]}', no JSON: {error}", place=option) from None
    if not isinstance(found, dict):
        raise InvalidInput(f'found \'{text[:60]}\', wanted an object by name: {{"data": {{"path": …}}}}', place=option)
    return {name: _with_absolute_path(value) for name, value in found.items()}


def _with_absolute_path(value: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(value.get("path"), str):
        return {**value, "path": absolute(value["path"])}
    return value
