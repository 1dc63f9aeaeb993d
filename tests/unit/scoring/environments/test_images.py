"""What images are known for."""

from __future__ import annotations

import pytest

from scoring.environments.images import is_azures_own, packages_of, python_of


@pytest.mark.parametrize(
    ("image", "first"),
    [
        ("mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04:latest", None),
        ("mcr.microsoft.com/azureml/curated/sklearn-1.5:12", "scikit-learn==1.5.*"),
        ("mcr.microsoft.com/azureml/curated/acpt-pytorch-2.2-cuda12.1", "torch==2.2.*"),
        ("azureml://registries/azureml/environments/tensorflow-2.16-cuda11/labels/latest", "tensorflow==2.16.*"),
        ("azureml:AzureML-lightgbm-3.3-ubuntu18.04-py37-cpu:1", "lightgbm==3.3.*"),
        ("my-sklearn-1.5", None),
        ("", None),
    ],
)
def test_packages(image: str, first: str | None) -> None:
    assert next(iter(packages_of(image)), None) == first


def test_the_python_of_a_name() -> None:
    assert python_of("azureml:AzureML-sklearn-1.0-ubuntu20.04-py38-cpu:1") == "3.8"
    assert python_of("x/minimal-ubuntu20.04-py310-cpu") == "3.10"
    assert python_of("openmpi4.1.0-ubuntu20.04") is None


def test_azures_own() -> None:
    assert is_azures_own("azureml://registries/azureml/environments/sklearn-1.5/labels/latest")
    assert is_azures_own("azureml:AzureML-sklearn-1.0:1")
    assert not is_azures_own("azureml:sklearn-1.0:1")
