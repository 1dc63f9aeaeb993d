"""Requirement lines and pip's options."""

from __future__ import annotations

import pytest

from scoring.environments.requirements import parse_lines
from scoring.errors import InvalidInput

INDEX, MORE = "--index-url", "--extra-index-url"


def test_lines_comments_and_continuations() -> None:
    found = parse_lines(
        ["# all", "", "numpy==1.2  # why", "torch>=1, \\", "  <2", 'a[x]==1 ; python_version<"3.9"', "numpy==1.2"],
        place="r.txt",
    ).wanted()
    assert found.requirements == ("numpy==1.2", "torch<2,>=1", 'a[x]==1; python_version < "3.9"')


def test_options_that_uv_takes_are_kept_and_others_told() -> None:
    found = parse_lines(
        ["-i https://a/b", f"{MORE}=https://c/d", "-f wheels", "--pre", "--trusted-host x", "-c c.txt"],
        place="r.txt",
    ).wanted()
    assert found.options == (f"{INDEX} https://a/b", f"{MORE} https://c/d", "--find-links wheels", "--pre")
    assert [note.subject for note in found.notes] == ["--trusted-host", "-c c.txt"]


@pytest.mark.parametrize("line", ["-r more.txt", "-rmore.txt", "--requirement=more.txt", "--requirement more.txt"])
def test_other_files_are_read_where_they_were_kept(line: str) -> None:
    found = parse_lines(["a", line], place="r.txt", other_file={"more.txt": "b\nc\n"}.__getitem__).wanted()
    assert found.requirements == ("a", "b", "c")
    with pytest.raises(InvalidInput, match=r"^r.txt:2: found '.*'; the other file was not kept"):
        parse_lines(["a", line], place="r.txt")


def test_a_file_that_names_itself_ends() -> None:
    with pytest.raises(InvalidInput, match="write its lines here"):
        parse_lines(["-r r.txt"], place="r.txt", other_file=lambda name: "-r r.txt\n")


def test_addresses() -> None:
    found = parse_lines(
        ["git+https://h/x.git@v1#egg=my_x", "y @ https://h/y-1-py3-none-any.whl", "https://h/z.tar.gz"], place="r.txt"
    ).wanted()
    assert found.requirements == (
        "my_x @ git+https://h/x.git@v1",
        "y @ https://h/y-1-py3-none-any.whl",
        "https://h/z.tar.gz",
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-e .", "a folder cannot be installed"),
        ("./wheels/x.whl", "a path of the machine that wrote it"),
        ("/opt/x.whl", "a path of the machine that wrote it"),
        ("file:///opt/x.whl", "a path of the machine that wrote it"),
        ("--strange", "found the option '--strange'"),
        ("not a requirement", "which is no requirement"),
    ],
)
def test_what_cannot_be_installed_is_refused_with_its_line(line: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as refused:
        parse_lines(["a", line], place="r.txt")
    assert refused.value.place == "r.txt:2"


@pytest.mark.parametrize(
    "line", ["azureml-core", "azureml_core==1.2", "AzureML-Dataset-Runtime[fuse]", "azureml-defaults", "azureml-mlflow"]
)
def test_what_only_azures_agent_needs_is_left_out(line: str) -> None:
    found = parse_lines([line, "azureml-metrics"], place="r.txt").wanted()
    assert found.requirements == ("azureml-metrics",)
    assert [note.subject for note in found.notes] == [line]
