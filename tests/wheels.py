"""A package registry in a folder: wheels of a few lines; environments are made of them in a second, without a net."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

FOREIGN = "cp36-cp36m-manylinux1_x86_64"
"""The tag of a wheel that no Python of today can install."""


def wheel(folder: Path, name: str, version: str, *, requires: Sequence[str] = (), tag: str = "py3-none-any") -> Path:
    """A wheel whose module of that name has `VERSION`."""
    folder.mkdir(parents=True, exist_ok=True)
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    path = folder / f"{module}-{version}-{tag}.whl"
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    files = {
        f"{module}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


def only_from(folder: Path, cache: Path) -> dict[str, str]:
    """Variables by which uv sees nothing but the wheels in `folder`, and fetches no Python."""
    cache.mkdir(parents=True, exist_ok=True)
    configuration = cache / "uv.toml"
    configuration.write_text(f'no-index = true\nfind-links = ["{folder}"]\n')
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYENV_ROOT") if name in os.environ}
    return {
        **kept,
        "UV_CONFIG_FILE": str(configuration),
        "UV_CACHE_DIR": str(cache),
        "UV_PYTHON_DOWNLOADS": "never",
    }
