"""Which files an MLflow model without a script can be given."""

from __future__ import annotations

import pytest

from scoring.errors import JobFailed
from scoring.minibatch import InputItem
from scoring.no_code import check_files


def items(*names: str) -> list[InputItem]:
    return [InputItem(uri=f"/data/{name}", size_bytes=1) for name in names]


def test_tables_and_images_of_any_case() -> None:
    check_files(items("a.csv", "b.CSV", "c.parquet", "d.pqt", "e.png", "f.JPG", "g.jpeg", "h.tiff", "i.bmp", "j.gif"))


@pytest.mark.parametrize(("name", "kind"), [("notes.txt", ".txt"), ("README", ""), ("a.csv.gz", ".gz")])
def test_another_file_is_refused_by_name(name: str, kind: str) -> None:
    with pytest.raises(JobFailed) as refused:
        check_files(items("a.csv", name))
    assert str(refused.value).startswith(
        f"Error processing input file '{name}': File type '{kind}' is not supported; supported are .csv, .parquet"
    )
