"""Conda files as people write them, read into requirements."""

from __future__ import annotations

import pytest

from scoring.environments.conda import conda_spec, wanted_of_conda
from scoring.errors import InvalidInput


def dependencies(*entries: object) -> dict[str, object]:
    return {"name": "e", "channels": ["conda-forge"], "dependencies": list(entries)}


def test_the_torch_example_of_the_how_to() -> None:
    wanted = wanted_of_conda(
        dependencies(
            "python=3.8.5",
            "pip<22.0",
            {
                "pip": [
                    "torch==1.13.0",
                    "torchvision==0.14.0",
                    "pytorch-lightning",
                    "pandas",
                    "azureml-core",
                    "azureml-dataset-runtime[fuse]",
                ]
            },
        )
    )
    assert wanted.python == "3.8.5"
    assert wanted.requirements == ("torch==1.13.0", "torchvision==0.14.0", "pytorch-lightning", "pandas")
    assert wanted.optional == frozenset()
    assert [note.subject for note in wanted.notes] == ["azureml-core", "azureml-dataset-runtime[fuse]"]


@pytest.mark.parametrize(
    ("written", "name", "specifier"),
    [
        ("numpy", "numpy", ""),
        ("numpy=1.21", "numpy", "==1.21.*"),
        ("numpy=1.21.2", "numpy", "==1.21.2.*"),
        ("numpy==1.21.2", "numpy", "==1.21.2"),
        ("numpy=1.21.2=py38h_0", "numpy", "==1.21.2"),
        ("numpy 1.21.*", "numpy", "==1.21.*"),
        ("numpy 1.21.2 py38h_0", "numpy", "==1.21.2"),
        ("numpy>=1.2,<2", "numpy", "<2,>=1.2"),
        ("numpy >=1.2, <2", "numpy", "<2,>=1.2"),
        ("numpy=1.*", "numpy", "==1.*"),
        ("numpy=*", "numpy", ""),
        ("numpy 1.21|1.22", "numpy", "==1.21"),
        ("conda-forge::numpy=1.21", "numpy", "==1.21.*"),
        ("pytorch::pytorch==1.7.1", "pytorch", "==1.7.1"),
        ("numpy[version='>=1.2,<2']", "numpy", "<2,>=1.2"),
        ("Scikit-Learn", "scikit-learn", ""),
        ("pip<=23.2.1", "pip", "<=23.2.1"),
    ],
)
def test_condas_words_for_versions(written: str, name: str, specifier: str) -> None:
    found = conda_spec(written, "here")
    assert found.name == name
    assert set(found.specifier.split(",")) == set(specifier.split(","))


@pytest.mark.parametrize("written", ["=1.2", "numpy=>1", "numpy>=one", ""])
def test_what_is_no_package_of_conda_is_refused_with_its_place(written: str) -> None:
    with pytest.raises(InvalidInput, match=r"^conda_file: dependencies\[1\]: "):
        wanted_of_conda(dependencies("python", written))


def test_names_that_registries_do_not_have() -> None:
    wanted = wanted_of_conda(
        dependencies("pytorch=1.13", "opencv", "cudatoolkit=10.2", "ffmpeg", "pip", "r-base", "faiss", "my-own")
    )
    assert wanted.requirements == ("torch==1.13.*", "opencv-python-headless", "faiss-cpu", "my-own")
    assert wanted.optional == frozenset(wanted.requirements)
    assert [str(note) for note in wanted.notes] == [
        "pytorch=1.13: installed as torch",
        "opencv: installed as opencv-python-headless",
        "cudatoolkit=10.2: left out: comes with the package that needs it",
        "ffmpeg: left out: no Python package",
        "r-base: left out: no Python package",
        "faiss: installed as faiss-cpu",
    ]


def test_pips_list_counts_where_both_name_a_package() -> None:
    wanted = wanted_of_conda(dependencies("numpy=1.20", "pandas", {"pip": ["NumPy==1.21.0"]}))
    assert wanted.requirements == ("NumPy==1.21.0", "pandas")
    assert wanted.optional == frozenset({"pandas"})


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"dependencies": "numpy"}, "conda_file: dependencies: wanted a list"),
        ({"dependency": []}, "conda_file: found the key 'dependency'"),
        ({"dependencies": [{"pip": "numpy"}]}, r"conda_file: dependencies\[0\].pip: wanted a list"),
        ({"dependencies": [3]}, r"conda_file: dependencies\[0\]: found 3"),
        ({"dependencies": [{"pip": ["a b"]}]}, r"conda_file: dependencies\[0\].pip:1: found 'a b'"),
    ],
)
def test_other_shapes_are_refused_with_their_place(document: dict[str, object], place: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{place}"):
        wanted_of_conda(document)


def test_nothing_is_asked_for_by_an_empty_file() -> None:
    assert wanted_of_conda({}).is_empty
    assert wanted_of_conda({"dependencies": None}).is_empty
    assert wanted_of_conda(dependencies("pip", {"pip": ["azureml-core"]})).is_empty


def test_the_same_wish_has_the_same_key() -> None:
    one = wanted_of_conda(dependencies("python=3.9", {"pip": ["a==1", "b"]}))
    other = wanted_of_conda({"dependencies": ["python=3.9", {"pip": ["b", "azureml-core", "a==1"]}], "name": "x"})
    assert one.key == other.key
    assert one.key != wanted_of_conda(dependencies("python=3.10", {"pip": ["a==1", "b"]})).key
    assert one.key != wanted_of_conda(dependencies("python=3.9", {"pip": ["a==1", "b==2"]})).key
