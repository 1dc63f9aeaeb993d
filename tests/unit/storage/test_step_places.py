"""Where steps read and write, and what becomes of outputs with a name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scoring.components.declared import ValueType
from scoring.data_asset import DataAsset
from scoring.errors import Conflict, InvalidInput, NotFound
from scoring.job import JobInputType, NamedOutput
from scoring.model import Model
from scoring.specs.data import DataSpec
from scoring.specs.document import Document
from scoring.specs.model import ModelSpec
from scoring.specs.validation import parse
from storage.step_places import StepPlaces
from tests.contract.values import a_job
from tests.unit.storage.conftest import Assets

FOLDER = ValueType.URI_FOLDER


@pytest.fixture
def fetched() -> list[tuple[str, JobInputType]]:
    return []


@pytest.fixture
def places(assets: Assets, tmp_path: Path, fetched: list[tuple[str, JobInputType]]) -> StepPlaces:
    def fetch(url: str, kind: JobInputType) -> Path:
        fetched.append((url, kind))
        return tmp_path

    return StepPlaces(assets.references, fetch, assets.registration)


def test_data_is_found_in_every_form(assets: Assets, places: StepPlaces, fetched: list[object]) -> None:
    folder = assets.write("in/a.txt", "x").parent
    assert places.input_path(str(folder), FOLDER) == str(folder)
    asset = assets.registration.data(parse(DataSpec, Document(value={"name": "d", "path": str(folder)})))
    path = places.input_path(f"azureml:d:{asset.version}", None)
    assert (Path(path) / "a.txt").read_text() == "x"
    places.input_path("https://example.org/a.csv", ValueType.URI_FILE)
    assert fetched == [("https://example.org/a.csv", JobInputType.URI_FILE)]
    with pytest.raises(NotFound):
        places.input_path("azureml:absent:1", FOLDER)


def test_a_models_input_is_what_was_registered(assets: Assets, places: StepPlaces) -> None:
    file = assets.write("weights.bin", "w")
    assets.registration.model(parse(ModelSpec, Document(value={"name": "net", "path": str(file)})))
    path = places.input_path("azureml:net@latest", ValueType.CUSTOM_MODEL)
    assert Path(path).name == "weights.bin"
    assert Path(path).read_text() == "w"


def test_a_label_is_frozen_and_what_is_not_there_is_refused(assets: Assets, places: StepPlaces) -> None:
    folder = assets.write("in/a.txt", "x").parent
    assets.registration.data(parse(DataSpec, Document(value={"name": "d", "path": str(folder)})))
    assert places.frozen("azureml:d@latest", FOLDER, place="inputs.x") == "azureml:d:1"
    assert places.frozen(str(folder), FOLDER, place="inputs.x") == str(folder)
    assert places.frozen("https://example.org/a", FOLDER, place="inputs.x") == "https://example.org/a"
    with pytest.raises(InvalidInput, match=r"inputs\.x: there is no file or folder /no/such") as refused:
        places.frozen("/no/such", FOLDER, place="inputs.x")
    assert refused.value.place == "inputs.x"


def test_an_output_with_a_name_is_registered_once_and_is_a_copy(assets: Assets, places: StepPlaces) -> None:
    output = NamedOutput(type=FOLDER, path=str(assets.write("out/a.txt", "x").parent))
    for _ in range(2):
        places.register(a_job(), "out", output, "cleaned", "3")
    asset = assets.store.get(DataAsset, "cleaned", "3")
    assets.write("out/a.txt", "changed")
    assert (assets.references.path("azureml:cleaned:3") / "a.txt").read_text() == "x"
    with pytest.raises(Conflict, match="output out could not be registered as cleaned"):
        places.register(a_job(), "out", output, "cleaned", asset.version)
    with pytest.raises(InvalidInput, match=r"outputs\.out: nothing was written"):
        places.register(a_job(), "out", replace(output, path="/no/such"), "cleaned", None)


def test_an_output_of_a_models_type_becomes_a_model(assets: Assets, places: StepPlaces) -> None:
    output = NamedOutput(type=ValueType.CUSTOM_MODEL, path=str(assets.write("net/weights", "w").parent))
    places.register(a_job(), "net", output, "learned", None)
    assert assets.store.get(Model, "learned").type == "custom_model"
