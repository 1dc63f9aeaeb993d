"""Bodies that clients of Azure send to invoke an endpoint, in all their generations, in our own words.

    {"properties": {"InputData": {K: {"JobInputType": "UriFolder", "Uri": …}}, "OutputData": {…}, …}}    today
    {"properties": {"dataset": {"dataInputType": "DataUrl", "Path": …}, "outputDataset": {…}, …}}          before

Names are matched without case, numbers may be texts, times are ISO 8601 durations or seconds. What is translated keeps
the place where it was written, so that a refusal names the caller's own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scoring.errors import InvalidInput
from scoring.specs.azure_body import AzureReader, Named, seconds_of
from scoring.specs.document import Document, FieldPath, described, shown_path

_ROOT = {"properties", "id", "name", "type", "tags"}


def is_azure_body(document: Document) -> bool:
    """Whether the body holds everything in `properties`, as Azure's do and our own never does."""
    names = {key.lower() for key in document.value}
    inner = next((value for key, value in document.value.items() if key.lower() == "properties"), None)
    return isinstance(inner, Mapping) and names <= _ROOT


def azure_invocation(document: Document, *, literals: bool = False) -> Document:
    """The body as a document of `InvocationSpec`. Raises InvalidInput for what cannot be said there.

    literals  the deployment is a pipeline's, which takes them: of `PipelineInvocationSpec`
    """
    reader = AzureReader()
    root = reader.names(document.value, ())
    properties = reader.names(root["properties"][1], root["properties"][0])
    if "tags" in root:
        reader.put(("tags",), *root["tags"])
    for name, (path, value) in properties.items():
        rule = _RULES.get(name)
        if rule is None:
            raise InvalidInput(f"unknown key; allowed: {', '.join(sorted(_SHOWN.values()))}", place=shown_path(path))
        if value is not None and literals and name == "inputdata":
            _input_values(reader, path, value)
        elif value is not None:
            rule(reader, path, value)
    return reader.document()


def _simple(*target: str, as_: Callable[[Any, FieldPath], Any] = lambda value, path: value) -> Any:
    return lambda reader, path, value: reader.put(target, path, as_(value, path))


_DATA_KINDS = {
    "urifolder": "uri_folder",
    "urifile": "uri_file",
    "mltable": "mltable",
    "custommodel": "custom_model",
    "mlflowmodel": "mlflow_model",
    "tritonmodel": "triton_model",
    "literal": "literal",
    "table": "table",
}


def _kind(value: Any, path: FieldPath) -> str:
    known = _DATA_KINDS.get(str(value).lower().replace("_", ""))
    if known is None:
        allowed = ", ".join(("UriFolder", "UriFile", "Table"))
        raise InvalidInput(f"found {described(value)}, allowed: {allowed}", place=shown_path(path))
    return known


def _mode(value: Any, path: FieldPath) -> str:
    """`ReadOnlyMount` is ro_mount."""
    words = {"readonlymount": "ro_mount", "readwritemount": "rw_mount", "evalmount": "eval_mount"}
    text = str(value).lower()
    return words.get(text, {"evaldownload": "eval_download"}.get(text, text))


def _input_data(reader: AzureReader, path: FieldPath, value: Any) -> None:
    for key, (inner, given) in reader.names(value, path).items():
        name = str(inner[-1])
        if key in reader.value.get("inputs", {}):
            raise InvalidInput("the input is given twice", place=shown_path(inner))
        fields = reader.known(given, inner, "jobInputType", "uri", "value", "mode", "description")
        reader.put(("inputs", name), inner, {})
        for field, target, reading in (
            ("jobinputtype", "type", _kind),
            ("uri", "path", lambda value, path: value),
            ("mode", "mode", _mode),
        ):
            if field in fields:
                where, found = fields[field]
                reader.put(("inputs", name, target), where, reading(found, where))
        if "value" in fields and reader.value["inputs"][name].get("type") != "literal":
            raise InvalidInput("only a Literal has a value; data has a uri", place=shown_path(fields["value"][0]))


def _input_values(reader: AzureReader, path: FieldPath, value: Any) -> None:
    """As `_input_data`; a literal becomes its value."""
    data = {}
    for inner, given in reader.names(value, path).values():
        fields = reader.names(given, inner)
        kind = fields.get("jobinputtype", (inner, ""))
        if str(kind[1]).lower() != "literal":
            data[str(inner[-1])] = given
            continue
        if "value" not in fields:
            raise InvalidInput("missing; a Literal has a value", place=shown_path((*inner, "Value")))
        reader.put(("inputs", str(inner[-1])), *fields["value"])
    _input_data(reader, path, data)


def _output_data(reader: AzureReader, path: FieldPath, value: Any) -> None:
    for inner, given in reader.names(value, path).values():
        name = str(inner[-1])
        fields = reader.known(given, inner, "jobOutputType", "uri", "mode", "description")
        reader.put(("outputs", name), inner, {})
        for field, target, reading in (
            ("joboutputtype", "type", _kind),
            ("uri", "path", lambda value, path: value),
            ("mode", "mode", _mode),
        ):
            if field in fields:
                where, found = fields[field]
                reader.put(("outputs", name, target), where, reading(found, where))


def _dataset(reader: AzureReader, path: FieldPath, value: Any) -> None:
    """DataUrl (a path), DataId (a long reference) and DataVersion (name and version)."""
    fields = reader.known(
        value, path, "dataInputType", "path", "uri", "url", "datasetId", "dataId", "id", "assetId",
        "datasetName", "dataName", "name", "datasetVersion", "dataVersion", "version",
    )  # fmt: skip
    kind = str(fields.get("datainputtype", ((), "DataUrl"))[1]).lower()
    reader.put(("input",), path, {})
    if kind == "dataversion" or (kind == "datasetversion"):
        where, name = _one_of(fields, path, "datasetname", "dataname", "name")
        _, version = _one_of(fields, path, "datasetversion", "dataversion", "version")
        reader.put(("input", "path"), where, f"azureml:{name}:{version}")
        return
    names = {"dataurl": ("path", "uri", "url"), "dataid": ("datasetid", "dataid", "id", "assetid")}
    names["datasetid"] = names["dataid"]
    if kind not in names:
        where = fields["datainputtype"][0]
        raise InvalidInput(f"found '{kind}', allowed: DataUrl, DataId, DataVersion", place=shown_path(where))
    where, found = _one_of(fields, path, *names[kind])
    reader.put(("input", "path"), where, found)


def _one_of(fields: Named, path: FieldPath, *names: str) -> tuple[FieldPath, Any]:
    for name in names:
        if name in fields:
            return fields[name]
    raise InvalidInput(f"missing; wanted {' or '.join(names[:2])}", place=shown_path(path))


def _output_dataset(reader: AzureReader, path: FieldPath, value: Any) -> None:
    fields = reader.known(value, path, "datastoreId", "path", "datasetName", "datasetVersion")
    for field, target in (("datastoreid", "datastore_id"), ("path", "path")):
        if field in fields:
            reader.put(("output_dataset", target), *fields[field])


def _retry_settings(reader: AzureReader, path: FieldPath, value: Any) -> None:
    fields = reader.known(value, path, "maxRetries", "timeout")
    if "maxretries" in fields:
        reader.put(("retry_settings", "max_retries"), *fields["maxretries"])
    if "timeout" in fields:
        where, given = fields["timeout"]
        reader.put(("retry_settings", "timeout"), where, seconds_of(given, where))


def _compute(reader: AzureReader, path: FieldPath, value: Any) -> None:
    """Only the number of instances may be changed; where it runs is the deployment's."""
    fields = reader.known(
        value, path, "instanceCount", "target", "isLocal", "location", "properties", "instanceType", "instanceTypes",
        "vmPriority",
    )  # fmt: skip
    if "instancecount" in fields:
        reader.put(("compute", "instance_count"), *fields["instancecount"])
    if fields.get("target", ((), None))[1] is not None:
        raise InvalidInput("the compute cannot be changed for one job", place=shown_path(fields["target"][0]))


def _properties(reader: AzureReader, path: FieldPath, value: Any) -> None:
    """A free map of texts; `experimentName` in it is the job's experiment."""
    kept = {}
    for name, (where, given) in reader.names(value, path).items():
        if name == "experimentname":
            reader.put(("experiment_name",), where, given)
        else:
            kept[str(where[-1])] = given
    if kept:
        reader.put(("properties",), path, kept)


def _logging_level(reader: AzureReader, path: FieldPath, value: Any) -> None:
    raise InvalidInput("cannot be changed for one job; create a deployment that has it", place=shown_path(path))


_SHOWN: Mapping[str, str] = {
    name.lower(): name
    for name in (
        "InputData",
        "OutputData",
        "Dataset",
        "OutputDataset",
        "OutputFileName",
        "MiniBatchSize",
        "ErrorThreshold",
        "RetrySettings",
        "Compute",
        "Name",
        "Description",
        "ExperimentName",
        "Tags",
        "Properties",
        "LoggingLevel",
    )
}

_RULES: Mapping[str, Callable[[AzureReader, FieldPath, Any], None]] = {
    "inputdata": _input_data,
    "outputdata": _output_data,
    "dataset": _dataset,
    "outputdataset": _output_dataset,
    "outputfilename": _simple("output_file_name"),
    "minibatchsize": _simple("mini_batch_size"),
    "errorthreshold": _simple("error_threshold"),
    "retrysettings": _retry_settings,
    "compute": _compute,
    "name": _simple("job_name"),
    "description": _simple("description"),
    "experimentname": _simple("experiment_name"),
    "tags": _simple("tags"),
    "properties": _properties,
    "logginglevel": _logging_level,
}
