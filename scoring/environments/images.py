"""What is known of container images and of Azure's own environments: which packages scripts find in them."""

from __future__ import annotations

import re
from collections.abc import Callable

_LIGHT = ("pandas", "scikit-learn", "joblib")


def _pinned(package: str, *more: str) -> Callable[[re.Match[str]], tuple[str, ...]]:
    return lambda found: (f"{package}=={found['version']}.*", *more)


_KNOWN: tuple[tuple[str, Callable[[re.Match[str]], tuple[str, ...]]], ...] = (
    (r"sklearn-(?P<version>\d+\.\d+)", _pinned("scikit-learn", "pandas", "joblib", "numpy")),
    (r"lightgbm-(?P<version>\d+\.\d+)", _pinned("lightgbm", *_LIGHT)),
    (r"xgboost-(?P<version>\d+\.\d+)", _pinned("xgboost", *_LIGHT)),
    (r"tensorflow-(?P<version>\d+\.\d+)", _pinned("tensorflow", "pandas", "pillow")),
    (r"(?:acpt-)?pytorch-(?P<version>\d+\.\d+)", _pinned("torch", "torchvision", "pandas", "pillow")),
    (r"mlflow-(?P<version>\d+\.\d+)", _pinned("mlflow", *_LIGHT)),
)


def packages_of(image: str) -> tuple[str, ...]:
    """Requirements that scripts made for this image, or Azure's environment of this name, rely on; mostly none.

    An image itself is never run: images of which nothing is known are taken for a bare Python.
    """
    for pattern, packages in _KNOWN:
        if found := re.search(rf"(?:^|[/:]|AzureML-){pattern}(?![\d.]*\d\.\d)", image, re.IGNORECASE):
            return packages(found)
    return ()


def python_of(image: str) -> str | None:
    """The Python that an image's name tells of, such as `…-py38-…`; None where it tells nothing."""
    found = re.search(r"[-_]py(?:thon)?(3)\.?(\d{1,2})(?!\d)", image, re.IGNORECASE)
    return f"{found[1]}.{found[2]}" if found else None


def is_azures_own(reference: str) -> bool:
    """Whether a reference names one of the environments that Azure itself provides, which nobody can register here."""
    return re.search(r"registries/azureml/|(?:^|:|/)AzureML-", reference, re.IGNORECASE) is not None
