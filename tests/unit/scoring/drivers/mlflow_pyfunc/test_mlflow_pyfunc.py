"""The script that scores MLflow models: files in, rows out; the model is a stand-in that answers as pyfunc does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from scoring.drivers import rows
from scoring.drivers.mlflow_pyfunc import mlflow_pyfunc as script


@dataclass
class Kind:
    name: str


@dataclass
class Column:
    """As mlflow.types.ColSpec."""

    type: Any
    name: str | None = None
    required: bool = True


@dataclass
class Tensor:
    """As mlflow.types.TensorSpec."""

    type: Any
    shape: tuple[int, ...]
    name: str | None = None


@dataclass
class Schema:
    inputs: list[Any] = field(default_factory=list)

    def is_tensor_spec(self) -> bool:
        return isinstance(self.inputs[0], Tensor)


class Model:
    def __init__(self, answer: Any, schema: Schema | None = None) -> None:
        self.answer = answer
        self.schema = schema
        self.metadata = self
        self.given: list[Any] = []

    def get_input_schema(self) -> Schema | None:
        return self.schema

    def predict(self, data: Any) -> Any:
        self.given.append(data)
        return self.answer(data) if callable(self.answer) else self.answer


def columns(**kinds: str) -> Schema:
    return Schema([Column(Kind(kind), name) for name, kind in kinds.items()])


@pytest.fixture
def csv(tmp_path: Path) -> str:
    path = tmp_path / "a.csv"
    path.write_text("age,name,code,extra\n31,x,007,1\n32,y,010,2\n")
    return str(path)


def test_rows_count_from_nought_in_each_file(csv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "b.parquet"
    pd.DataFrame({"age": [1, 2, 3]}).to_parquet(other)
    monkeypatch.setattr(script, "_model", Model(lambda frame: frame["age"].to_numpy() * 2))
    result = script.run([csv, str(other)])
    wanted = [
        [0, 62, "a.csv"],
        [1, 64, "a.csv"],
        [0, 2, "b.parquet"],
        [1, 4, "b.parquet"],
        [2, 6, "b.parquet"],
    ]
    assert result.to_numpy().tolist() == wanted
    assert list(result.columns) == ["row", "prediction", "file"]
    written = rows.write(result, str(tmp_path / "out"), text=True, predictions=False)
    assert written is not None
    assert Path(written).read_text().splitlines()[:3] == ["0,62,a.csv", "1,64,a.csv", "0,2,b.parquet"]


@pytest.mark.parametrize(
    ("predictions", "names", "first"),
    [
        ([1, 2], ["prediction"], [1]),
        (np.array([[1.5], [2.5]]), ["prediction"], [1.5]),
        (np.array([[1, 2], [3, 4]]), ["prediction_0", "prediction_1"], [1, 2]),
        (np.zeros((2, 2, 2)), ["prediction_0", "prediction_1", "prediction_2", "prediction_3"], [0, 0, 0, 0]),
        (pd.Series([5, 6], index=[8, 9]), ["prediction"], [5]),
        (pd.DataFrame({"x": [1]}, index=[7]), ["prediction"], [1]),
        (pd.DataFrame({"row": [1], "p": [2]}), ["row_prediction", "p"], [1, 2]),
        ({"a": [1, 2], "b": [3, 4]}, ["a", "b"], [1, 3]),
        (np.float64(3.0), ["prediction"], [3.0]),
        (["a text", "b"], ["prediction"], ["a text"]),
    ],
)
def test_predictions_of_any_kind(predictions: Any, names: list[str], first: list[Any]) -> None:
    frame = script.as_frame(predictions)
    assert list(frame.columns) == names
    assert frame.iloc[0].tolist() == first


def test_columns_are_those_of_the_signature_in_its_order_and_types(csv: str) -> None:
    frame = script.read(csv, columns(code="string", age="float"))
    assert list(frame.columns) == ["code", "age"]
    assert frame["code"].tolist() == ["007", "010"]
    assert frame["age"].dtype == "float32"


def test_unnamed_columns_go_by_position(csv: str) -> None:
    frame = script.read(csv, Schema([Column(Kind("long")), Column(Kind("string"))]))
    assert list(frame.columns) == [0, 1]
    assert frame[1].tolist() == ["x", "y"]


def test_optional_columns_may_be_missing(csv: str) -> None:
    schema = Schema([Column(Kind("long"), "age"), Column(Kind("long"), "none", required=False)])
    assert list(script.read(csv, schema).columns) == ["age"]


@pytest.mark.parametrize(
    ("kind", "values", "result"),
    [
        ("boolean", ["true", "FALSE"], [True, False]),
        ("boolean", [0, 1], [False, True]),
        ("integer", [1, 2], [1, 2]),
        ("long", [1.0, 2.0], [1, 2]),
        ("double", [1, None], [1.0, None]),
        ("string", [1, 2], ["1", "2"]),
        ("datetime", ["2026-01-02", "2026-01-03"], [pd.Timestamp("2026-01-02"), pd.Timestamp("2026-01-03")]),
    ],
)
def test_casts(kind: str, values: list[Any], result: list[Any]) -> None:
    cast = script._cast(pd.Series(values), Column(Kind(kind), "c"))
    assert [None if pd.isna(value) else value for value in cast] == result


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("long", [1.5]),
        ("long", [None, 1.0]),
        ("long", ["x"]),
        ("integer", [2**40]),
        ("double", ["old"]),
        ("boolean", [2]),
        ("boolean", ["maybe"]),
        ("datetime", ["not a day"]),
    ],
)
def test_what_would_be_lost_is_refused_with_the_column(kind: str, values: list[Any]) -> None:
    with pytest.raises(script.InputFileError, match=f"column 'c' has values of type .* that are no {kind}: "):
        script._cast(pd.Series(values), Column(Kind(kind), "c"))


def test_errors_name_the_file(csv: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "_model", Model([1], columns(height="double")))
    with pytest.raises(script.InputFileError, match=r"^Error processing input file 'a.csv': it has no column 'height'"):
        script.run([csv])
    with pytest.raises(script.InputFileError, match=r"'notes.txt': File type '.txt' is not supported; supported are"):
        script.run(["/data/notes.txt"])


def test_a_table_for_a_model_of_tensors(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    pd.DataFrame(np.arange(8).reshape(2, 4)).to_csv(path, index=False)
    array = script.read(str(path), Schema([Tensor(np.dtype("float32"), (-1, 2, 2))]))
    assert array.shape == (2, 2, 2)
    assert array.dtype == "float32"
    with pytest.raises(script.InputFileError, match="it is 2x4, and the model takes"):
        script.read(str(path), Schema([Tensor(np.dtype("float32"), (-1, 3))]))


@pytest.mark.parametrize(
    ("mode", "shape", "result"),
    [
        ("L", (-1, 6, 5), (1, 6, 5)),
        ("L", (-1, 6, 5, 1), (1, 6, 5, 1)),
        ("L", (-1, 1, 6, 5), (1, 1, 6, 5)),
        ("L", (-1, 30), (1, 30)),
        ("L", (-1, 6, 5, 3), (1, 6, 5, 3)),
        ("RGB", (-1, 6, 5, 3), (1, 6, 5, 3)),
        ("RGB", (-1, 3, 6, 5), (1, 3, 6, 5)),
        ("RGB", (-1, -1, -1, 3), (1, 6, 5, 3)),
        ("RGB", (-1, 6, 5), (1, 6, 5)),
        ("RGBA", (-1, 6, 5, 3), (1, 6, 5, 3)),
        ("1", (-1, 6, 5), (1, 6, 5)),
    ],
)
def test_images_take_the_shape_of_the_signature(tmp_path: Path, mode: str, shape: Any, result: Any) -> None:
    path = tmp_path / "digit.PNG"
    Image.new(mode, (5, 6), 1 if mode in ("L", "1") else None).save(path)
    array = script.read(str(path), Schema([Tensor(np.dtype("float64"), shape)]))
    assert (array.shape, array.dtype) == (result, np.dtype("float64"))


def test_an_image_without_a_signature_is_bytes_and_one_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "digit.png"
    Image.new("L", (5, 6)).save(path)
    assert script.read(str(path), None).shape == (1, 6, 5)
    assert script.read(str(path), None).dtype == "uint8"
    named = script.read(str(path), Schema([Tensor(np.dtype("uint8"), (-1, 6, 5), "image")]))
    assert list(named) == ["image"]
    with pytest.raises(script.InputFileError, match=r"the image is 6x5, and the model takes \(-1, 28, 28\)"):
        script.read(str(path), Schema([Tensor(np.dtype("uint8"), (-1, 28, 28))]))
    path.write_bytes(b"no image")
    with pytest.raises(script.InputFileError, match="it cannot be read"):
        script.read(str(path), None)


def test_the_model_is_found_below_the_registered_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file MLmodel"):
        script.model_folder(str(tmp_path))
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "model" / "MLmodel").touch()
    assert script.model_folder(str(tmp_path)) == str(tmp_path / "run" / "model")
    (tmp_path / "run" / "MLmodel").touch()
    assert script.model_folder(str(tmp_path)) == str(tmp_path / "run")
