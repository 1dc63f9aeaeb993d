"""Names that mean something else here: conda's for what registries call otherwise, and those of Azure's agent."""

from __future__ import annotations

import fnmatch

from scoring.environments.wanted import normalized

_CONDA_TO_PYPI = {
    "blas": None,
    "cpuonly": None,
    "cudatoolkit": None,
    "cudnn": None,
    "pip": None,
    "python": None,
    "setuptools": "setuptools",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "pytorch-cuda": None,
    "pytorch-mutex": None,
    "tensorflow-gpu": "tensorflow",
    "tensorflow-cpu": "tensorflow",
    "tensorflow-base": "tensorflow",
    "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    "libopencv": None,
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "py-xgboost-gpu": "xgboost",
    "matplotlib-base": "matplotlib",
    "dask-core": "dask",
    "msgpack-python": "msgpack",
    "psycopg2": "psycopg2-binary",
    "pytables": "tables",
    "faiss": "faiss-cpu",
    "graphviz": None,
    "python-graphviz": "graphviz",
    "seaborn-base": "seaborn",
    "scikit-image-base": "scikit-image",
    "huggingface-hub": "huggingface-hub",
    "huggingface_hub": "huggingface-hub",
    "pyspark-base": "pyspark",
    "shap-base": "shap",
    "prophet-base": "prophet",
    "fbprophet": "prophet",
    "python-dateutil": "python-dateutil",
    "pillow-simd": "pillow",
    "ruamel.yaml": "ruamel.yaml",
    "attrs": "attrs",
}
"""None: part of an interpreter, of a driver or of another package, and nothing to install."""

_NO_PYTHON = (
    "_libgcc_mutex", "_openmp_mutex", "bzip2", "ca-certificates", "cmake", "compilers", "cuda", "cuda-*",
    "curl", "cxx-compiler", "ffmpeg", "gcc", "gcc_*", "gfortran*", "git", "gxx", "gxx_*", "icu", "intel-openmp",
    "jpeg", "ld_impl_*", "libblas", "libcblas", "libffi", "libgcc*", "libgfortran*", "libgomp", "libjpeg*",
    "liblapack", "libpng", "libsndfile", "libstdcxx*", "libtiff", "libuuid", "libwebp*", "libxml2",
    "llvm-openmp", "make", "mkl", "nccl", "ncurses", "ninja", "nodejs", "nomkl", "openblas", "openjdk",
    "openmpi", "openssl", "r-*", "readline", "sqlite", "tk", "xz", "zlib", "zstd",
)  # fmt: skip
"""Programs and libraries of conda that are no Python packages."""

_AGENT = (
    "azureml-core",
    "azureml-dataset-runtime",
    "azureml-dataprep*",
    "azureml-defaults",
    "azureml-inference-server-http",
    "azureml-mlflow",
    "azureml-monitoring",
    "azureml-contrib-*",
    "azureml-pipeline*",
    "azureml-sdk",
    "azureml-telemetry",
    "azureml-train*",
    "azureml-automl-common-tools",
    "azureml-model-management-sdk",
    "azureml-parallel-run",
)


def is_agents(name: str) -> bool:
    """Whether the package only connects a script with Azure's service."""
    return any(fnmatch.fnmatchcase(normalized(name), pattern) for pattern in _AGENT)


def is_no_python(conda_name: str) -> bool:
    """Whether conda's package of this name is a program or a library that no Python registry has."""
    return any(fnmatch.fnmatchcase(conda_name.lower(), pattern) for pattern in _NO_PYTHON)


def pypi_name(conda_name: str) -> str | None:
    """The name under which registries have what conda calls so; None where there is nothing to install."""
    lowered = conda_name.lower()
    return _CONDA_TO_PYPI.get(lowered, lowered)
