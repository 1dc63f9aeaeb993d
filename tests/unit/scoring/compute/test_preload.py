"""Imports of a scoring script, read from its text."""

from __future__ import annotations

from pathlib import Path

from scoring.compute.preload import imports_of


def found(code: Path, script: str = "score.py") -> dict[str, tuple[str, ...]]:
    return {wanted.module: wanted.names for wanted in imports_of(code, script)}


def test_what_is_imported_when_the_script_is_loaded_or_in_init(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(
        "from __future__ import annotations\n"
        "import numpy as np, os.path\n"
        "from PIL import Image\n"
        "from azureml_user.parallel_run import EntryScript\n"
        "try:\n    import fast\nexcept ImportError:\n    import slow\n"
        "if True:\n    from a.b import *\n"
        "def init():\n    import torch\n"
        "def run(mini_batch):\n    import seldom\n"
        "class Model:\n    import never\n"
        "if __name__ == '__main__':\n    import argparse\n"
    )
    assert found(tmp_path) == {
        "numpy": (),
        "os.path": (),
        "PIL": ("Image",),
        "fast": (),
        "slow": (),
        "a.b": (),
        "torch": (),
    }


def test_modules_of_the_code_folder_are_looked_into_and_not_named(tmp_path: Path) -> None:
    package = tmp_path / "src" / "net"
    package.mkdir(parents=True)
    (tmp_path / "src" / "score.py").write_text("import beside\nfrom net import layers\nimport rooted\n")
    (tmp_path / "src" / "beside.py").write_text("import scipy\n")
    (tmp_path / "rooted.py").write_text("import score\nimport pandas\n")
    (package / "__init__.py").write_text("from . import weights\n")
    (package / "layers.py").write_text("from .weights import load\nfrom ..elsewhere import gone\nimport torch.nn\n")
    (package / "weights.py").write_text("import safetensors\n")
    assert set(found(tmp_path, "src/score.py")) == {"scipy", "pandas", "torch.nn", "safetensors"}


def test_what_cannot_be_read_is_left_to_the_worker(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("import beside, numpy\n")
    (tmp_path / "beside.py").write_text("def broken(:\n")
    assert set(found(tmp_path)) == {"numpy"}
    assert found(tmp_path, "missing.py") == {}
