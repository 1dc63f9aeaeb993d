"""Scores an MLflow model without a script of its user: one prediction call a file, a row for each prediction.

Files are read by their ending, cast to the model's signature, and predicted with the model's `python_function`. The
rows are `row,prediction,file`: the number of the row within its file, what was predicted (several columns where the
model predicts several), and the file's name.
"""

from __future__ import annotations

import glob
import os
from typing import Any

TABLES = (".csv", ".parquet", ".pqt")
IMAGES = (".png", ".jpg", ".jpeg", ".tiff", ".bmp", ".gif")
SEPARATOR = ","

# MLflow's types of columns, as pandas has them
_TYPES = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64"}

_model: Any = None


class InputFileError(Exception):
    """A file that this model cannot be given; the message names it and says why."""


def init() -> None:
    """Load the model that lies below AZUREML_MODEL_DIR."""
    global _model
    import mlflow.pyfunc  # type: ignore[import-not-found]

    _model = mlflow.pyfunc.load_model(model_folder(os.environ["AZUREML_MODEL_DIR"]))


def run(mini_batch: list[str]) -> Any:
    """A DataFrame with the rows of all files, in their order."""
    import pandas

    frames = [scored(path) for path in mini_batch]
    result = pandas.concat(frames, ignore_index=True) if frames else pandas.DataFrame()
    result.attrs["separator"] = SEPARATOR
    return result


def scored(path: str) -> Any:
    """The rows of one file."""
    name = os.path.basename(path)
    try:
        data = read(path, _input_schema(_model))
        predictions = _model.predict(data)
    except InputFileError as error:
        raise InputFileError(f"Error processing input file '{name}': {error}") from None
    rows = as_frame(predictions)
    rows.insert(0, "row", range(len(rows)))
    rows["file"] = name
    return rows


def model_folder(root: str) -> str:
    """The folder of the file `MLmodel`: the registered one, or one below it."""
    for pattern in ("", "*", os.path.join("*", "*")):
        found = sorted(glob.glob(os.path.join(glob.escape(root), pattern, "MLmodel")))
        if found:
            return os.path.dirname(found[0])
    raise FileNotFoundError("there is no file MLmodel in the model: it is no MLflow model")


def read(path: str, schema: Any) -> Any:
    """The file as the model wants it: a DataFrame, an array, or arrays by name. `schema` None is no signature."""
    ending = os.path.splitext(path)[1].lower()
    if ending in TABLES:
        return _table(path, ending, schema)
    if ending in IMAGES:
        return _image(path, schema)
    allowed = ", ".join(TABLES + IMAGES)
    raise InputFileError(f"File type '{ending}' is not supported; supported are {allowed}")


def as_frame(predictions: Any) -> Any:
    """Predictions of any kind as rows; a single column is called `prediction`."""
    import numpy
    import pandas

    if isinstance(predictions, pandas.DataFrame):
        frame = predictions.reset_index(drop=True)
    elif isinstance(predictions, dict):
        frame = pandas.DataFrame({name: list(values) for name, values in predictions.items()})
    elif isinstance(predictions, (list, tuple, pandas.Series)):
        frame = pandas.DataFrame({"prediction": list(predictions)})
    else:
        toarray = getattr(predictions, "toarray", None)  # scipy's sparse matrices
        array = numpy.atleast_1d(numpy.asarray(predictions if toarray is None else toarray()))
        if array.ndim > 2:
            array = array.reshape(len(array), -1)
        columns = ["prediction"] if array.ndim == 1 else [f"prediction_{n}" for n in range(array.shape[1])]
        frame = pandas.DataFrame(array, columns=columns)
    if frame.shape[1] == 1:
        frame.columns = ["prediction"]
    frame.columns = [_free_name(str(name)) for name in frame.columns]
    return frame


def _free_name(name: str) -> str:
    return name + "_prediction" if name in ("row", "file") else name


def _input_schema(model: Any) -> Any:
    get = getattr(model.metadata, "get_input_schema", None)
    return get() if get is not None else None


# --- tables ---------------------------------------------------------------------------------------------------------


def _table(path: str, ending: str, schema: Any) -> Any:
    import pandas

    texts = _names_of(schema, "string")
    try:
        if ending == ".csv":
            # a text such as 007 must not become a number on its way to a text
            frame = pandas.read_csv(path, dtype=dict.fromkeys(texts, str) or None)
        else:
            frame = pandas.read_parquet(path)
    except InputFileError:
        raise
    except Exception as error:
        raise InputFileError(f"it cannot be read: {type(error).__name__}: {error}") from None
    if schema is None:
        return frame
    if schema.is_tensor_spec():
        return _tensors(frame, schema)
    return _columns(frame, schema)


def _names_of(schema: Any, kind: str) -> list[str]:
    if schema is None or schema.is_tensor_spec():
        return []
    return [column.name for column in schema.inputs if column.name and _kind(column) == kind]


def _kind(column: Any) -> str:
    return getattr(column.type, "name", str(column.type)).lower()


def _columns(frame: Any, schema: Any) -> Any:
    """The columns of the signature, in its order and in its types; more columns are left out."""
    import pandas

    named = [column.name for column in schema.inputs]
    if not all(named):
        if len(frame.columns) < len(named):
            raise InputFileError(f"it has {len(frame.columns)} columns, and the model needs {len(named)}")
        frame = frame.iloc[:, : len(named)]
        return pandas.DataFrame({at: _cast(frame.iloc[:, at], column) for at, column in enumerate(schema.inputs)})
    found = {}
    for column in schema.inputs:
        if column.name in frame.columns:
            found[column.name] = _cast(frame[column.name], column)
        elif getattr(column, "required", True):
            have = ", ".join(str(name) for name in frame.columns)
            raise InputFileError(f"it has no column '{column.name}', which the model needs; it has {have}")
    return pandas.DataFrame(found, index=frame.index)


def _cast(series: Any, column: Any) -> Any:
    """The series in the type of the signature. What cannot be cast without a loss is refused."""
    import pandas

    kind = _kind(column)
    try:
        if kind == "string":
            return series.where(series.isna(), series.astype(str)).astype(object)
        if kind == "datetime":
            return pandas.to_datetime(series)
        if kind == "boolean" and (series.dtype == object or pandas.api.types.is_string_dtype(series)):
            return _booleans(series)
        if kind not in _TYPES:
            return series  # binary, arrays, objects: MLflow itself looks at them
        cast = series.astype(_TYPES[kind])
        if kind in ("integer", "long", "boolean") and not (cast == series).all():
            raise ValueError("it would lose digits")
        return cast
    except (TypeError, ValueError, OverflowError) as error:
        at = "" if column.name is None else f" '{column.name}'"
        message = f"column{at} has values of type {series.dtype} that are no {kind}: {error}"
        raise InputFileError(message) from None


def _booleans(series: Any) -> Any:
    words = {"true": True, "false": False, "1": True, "0": False}
    cast = series.astype(str).str.lower().map(words)
    if cast.isna().any():
        raise ValueError("allowed are true and false")
    return cast.astype(bool)


def _tensors(frame: Any, schema: Any) -> Any:
    """A table for a model of tensors: one unnamed tensor takes all columns, named ones the columns of their names."""
    import numpy

    specs = schema.inputs
    if len(specs) == 1:
        array = frame[specs[0].name].to_numpy() if specs[0].name in frame.columns else frame.to_numpy()
        array = _shaped(numpy.stack([numpy.asarray(v) for v in array]) if array.dtype == object else array, specs[0])
        return array if specs[0].name is None else {specs[0].name: array}
    missing = [spec.name for spec in specs if spec.name not in frame.columns]
    if missing:
        raise InputFileError(f"it has no column '{missing[0]}', which the model needs")
    return {spec.name: _shaped(numpy.asarray(frame[spec.name].tolist()), spec) for spec in specs}


def _shaped(array: Any, spec: Any) -> Any:
    """The array in type and shape of a tensor; its first dimension counts the rows."""
    try:
        array = array.astype(spec.type)
        if array.ndim != len(spec.shape) or any(n not in (-1, m) for n, m in zip(spec.shape, array.shape)):  # noqa: B905
            array = array.reshape([len(array), *spec.shape[1:]])
        return array
    except (TypeError, ValueError) as error:
        shape = "x".join(str(n) for n in array.shape)
        raise InputFileError(f"it is {shape}, and the model takes {tuple(spec.shape)}: {error}") from None


# --- images ---------------------------------------------------------------------------------------------------------


def _image(path: str, schema: Any) -> Any:
    import numpy
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
            spec = schema.inputs[0] if schema is not None and schema.is_tensor_spec() else None
            if spec is None:
                return numpy.asarray(image)[numpy.newaxis]
            array = _pixels(image, tuple(spec.shape))
    except InputFileError:
        raise
    except Exception as error:
        raise InputFileError(f"it cannot be read: {type(error).__name__}: {error}") from None
    array = array.astype(spec.type)
    return array if spec.name is None else {spec.name: array}


def _pixels(image: Any, wanted: tuple[int, ...]) -> Any:
    """One image as the tensor: its pixels as they are, put into the wanted shape; -1 is any length."""
    import numpy

    tried = []
    for mode in (None, "L", "RGB", "RGBA"):
        pixels = numpy.asarray(image if mode is None else image.convert(mode))
        layouts = [pixels, pixels[..., numpy.newaxis]] if pixels.ndim == 2 else [pixels, pixels.transpose(2, 0, 1)]
        if pixels.ndim == 2:
            layouts.append(pixels[numpy.newaxis])
        for layout in layouts:
            # a first dimension of any length counts images, and is no part of one
            for shaped in [layout[numpy.newaxis]] + ([] if wanted[:1] == (-1,) else [layout]):
                if shaped.ndim == len(wanted) and all(n in (-1, m) for n, m in zip(wanted, shaped.shape)):  # noqa: B905
                    return shaped
            tried.append(layout.shape)
    # as Azure does: the same number of values in another shape, such as a flat row of pixels
    pixels = numpy.asarray(image)
    if wanted[:1] == (-1,) and all(n > 0 for n in wanted[1:]) and numpy.prod(wanted[1:]) == pixels.size:
        return pixels.reshape((1, *wanted[1:]))
    size = "x".join(str(n) for n in tried[0])
    raise InputFileError(f"the image is {size}, and the model takes {wanted}")
