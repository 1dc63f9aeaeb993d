"""docs/compatibility.md is true of the commands, and each of its claims about the contract has a test that shows it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from infra.cli.main import COMMANDS
from infra.cli.main import root as tidemill
from tests.architecture.page_tables import Row, codes, tables

# what az has, as its reference lists it; `-n/--name` stands for both
AZURE = {
    "compute": {
        "create": "-n/--name -f/--file -t/--type --size --min-instances --max-instances "
        "-d/--idle-time-before-scale-down --tier -l/--location --tags --identity-type "
        "-i/--user-assigned-identities --description --set --vnet-name --subnet "
        "-p/--ssh-public-access-enabled --ssh-key-value --admin-username --admin-password "
        "--enable-node-public-ip --user-tenant-id --user-object-id",
        "update": "-n/--name --min-instances --max-instances -d/--idle-time-before-scale-down --tags --identity-type "
        "-i/--user-assigned-identities --set --add --remove --force-string",
        "show": "-n/--name", "delete": "-n/--name -y/--yes", "list": "-t/--type -r/--max-results",
        "list-nodes": "-n/--name", "list-sizes": "-n/--name -t/--type --recommended", "list-usage": "-n/--name",
        "start": "-n/--name", "stop": "-n/--name", "restart": "-n/--name",
        "attach": "", "detach": "", "connect-ssh": "", "enable-sso": "",
    },
    "model": {
        "create": "-n/--name -v/--version -p/--path -t/--type -f/--file --datastore -s/--stage --tags --description "
        "--set -d/--default-deployment-template",
        "show": "-n/--name -v/--version -l/--label",
        "list": "-n/--name -r/--max-results -s/--stage --archived-only --include-archived",
        "download": "-n/--name -v/--version -p/--download-path",
        "update": "-n/--name -v/--version -l/--label -s/--stage --description -f/--file --set --add --remove "
        "--force-string",
        "archive": "-n/--name -v/--version -l/--label", "restore": "-n/--name -v/--version -l/--label",
        "share": "", "package": "",
    },
    "data": {
        "create": "-n/--name -v/--version -p/--path -t/--type -f/--file --datastore -d/--description "
        "--skip-validation --set",
        "show": "-n/--name -v/--version -l/--label",
        "list": "-n/--name -r/--max-results --archived-only --include-archived",
        "update": "-n/--name -v/--version -l/--label --set --add --remove --force-string",
        "archive": "-n/--name -v/--version -l/--label", "restore": "-n/--name -v/--version -l/--label",
        "share": "", "import": "", "mount": "", "list-materialization-status": "",
    },
    "environment": {
        "create": "-n/--name -v/--version -f/--file -i/--image -c/--conda-file -b/--build-context "
        "-d/--dockerfile-path --os-type --datastore --tags --description -p/--path --set",
        "show": "-n/--name -v/--version -l/--label",
        "list": "-n/--name -r/--max-results --archived-only --include-archived",
        "update": "-n/--name -v/--version -l/--label --description --set --add --remove --force-string",
        "archive": "-n/--name -v/--version -l/--label", "restore": "-n/--name -v/--version -l/--label",
        "share": "",
    },
    "component": {
        "create": "-f/--file -n/--name -v/--version --set --skip-validation",
        "show": "-n/--name -v/--version -l/--label",
        "list": "-n/--name -r/--max-results --archived-only --include-archived",
        "update": "-n/--name -v/--version -l/--label --set --add --remove --force-string",
        "archive": "-n/--name -v/--version -l/--label", "restore": "-n/--name -v/--version -l/--label",
        "share": "",
    },
    "datastore": {
        "create": "-f/--file -n/--name --set", "show": "-n/--name", "list": "-r/--max-results",
        "delete": "-n/--name -y/--yes", "update": "-n/--name -f/--file --set --add --remove --force-string",
        "mount": "",
    },
    "batch-endpoint": {
        "create": "-f/--file -n/--name --set",
        "update": "-f/--file -n/--name --defaults --set --add --remove --force-string",
        "show": "-n/--name", "list": "", "delete": "-n/--name -y/--yes", "list-jobs": "-n/--name -d/--deployment-name",
        "invoke": "-n/--name -d/--deployment-name -f/--file --input --input-type --inputs --outputs --set "
        "--output-path -m/--mini-batch-size -c/--instance-count --job-name --experiment-name",
    },
    "batch-deployment": {
        "create": "-f/--file -n/--name -e/--endpoint-name --set --set-default --skip-script-validation",
        "update": "-f/--file -n/--name -e/--endpoint-name --set --add --remove --force-string",
        "show": "-n/--name -e/--endpoint-name", "list": "-e/--endpoint-name",
        "delete": "-n/--name -e/--endpoint-name -y/--yes", "list-jobs": "-n/--name -e/--endpoint-name",
    },
    "job": {
        "create": "-f/--file -n/--name --set -s/--stream -e/--web -a/--save-as --skip-validation",
        "show": "-n/--name -e/--web", "stream": "-n/--name",
        "list": "-p/--parent-job-name -r/--max-results --all-results --archived-only --include-archived",
        "cancel": "-n/--name", "download": "-n/--name -p/--download-path --output-name --all",
        "archive": "-n/--name", "restore": "-n/--name", "update": "-n/--name --set --add --remove --force-string",
        "validate": "-f/--file -n/--name --set", "show-services": "-n/--name -i/--node-index", "connect-ssh": "",
    },
    "schedule": {
        "create": "-f/--file -n/--name --set", "list": "--include-disabled --disabled-only -r/--max-results",
        "show": "-n/--name", "update": "-n/--name --set --add --remove --force-string", "enable": "-n/--name",
        "disable": "-n/--name", "delete": "-n/--name -y/--yes", "trigger": "-n/--name",
    },
}  # fmt: skip
ALL, REST = "Every command", "Other commands of az"
VERDICTS = {"works", "ignored", "absent"}
OF_THE_CONTRACT = (
    "Global behaviour",
    "Functions of a scoring script",
    "What run() returns, and the output file",
    "Counting and thresholds",
    "Retry and timeout",
    "Environment of a worker",
    "Inputs and outputs of a model's deployment",
    "MLflow models without a script",
    "Logging from scripts",
    "Shape of a job",
    "Log tree",
    "Downloads",
    "States",
    "Scoring address",
    "Body of an invocation",
    "Answer to an invocation",
    "Management addresses",
    "Surprises",
)


@pytest.fixture(scope="module")
def page(root: Path) -> dict[str, list[Row]]:
    return tables(root / "docs" / "compatibility.md")


def command(noun: str, verb: str) -> click.Command | None:
    group = tidemill.get_command(click.Context(tidemill), noun)
    assert isinstance(group, click.Group)
    return group.get_command(click.Context(group), verb)


def options(of: click.Command) -> set[str]:
    """`-n/--name` for each, the shortest name first."""
    return {"/".join(sorted(parameter.opts, key=len)) for parameter in of.params}


def flags(cell: str) -> set[str]:
    return {code for code in codes(cell) if code.startswith("-")}


def everywhere(page: dict[str, list[Row]]) -> set[str]:
    return {flag for row in page[ALL] for flag in flags(row["flag"])} - {"-h/--help"}


def rows(page: dict[str, list[Row]], noun: str) -> dict[str, Row]:
    return {codes(row["command"])[0]: row for row in page[noun]}


@pytest.mark.parametrize("noun", AZURE)
def test_each_option_is_in_one_column_and_each_column_is_true(page: dict[str, list[Row]], noun: str) -> None:
    listed, common = rows(page, noun), everywhere(page)
    wrong = []
    for verb, row in listed.items():
        found = command(noun, verb)
        if row["absent"].startswith("the command: "):
            if found is not None or any(row[column] for column in ("works", "accepted and ignored", "ours")):
                wrong.append(f"{noun} {verb} is said to be absent")
            continue
        assert found is not None, f"there is no {noun} {verb}"
        columns = [flags(row[column]) for column in ("works", "accepted and ignored", "ours")]
        said = set().union(*columns)
        if sum(map(len, columns)) != len(said):
            wrong.append(f"{noun} {verb}: an option is in two columns")
        wrong += [f"{noun} {verb} has no option {flag}" for flag in said - options(found)]
        wrong += [f"{noun} {verb} {flag} is in no column" for flag in options(found) - said - common]
        single = {name for flag in options(found) for name in flag.split("/")}
        wrong += [f"{noun} {verb} has {flag}" for flag in flags(row["absent"]) if single & set(flag.split("/"))]
        if not said and row["works"] != "no flags of its own":
            wrong.append(f"{noun} {verb}: the row says nothing")
    group = tidemill.get_command(click.Context(tidemill), noun)
    assert isinstance(group, click.Group)
    wrong += [f"{noun} {verb} has no row" for verb in group.list_commands(click.Context(group)) if verb not in listed]
    assert not wrong


@pytest.mark.parametrize("noun", AZURE)
def test_nothing_that_az_has_is_passed_over(page: dict[str, list[Row]], noun: str) -> None:
    listed = rows(page, noun)
    missing = [f"{noun} {verb}" for verb in AZURE[noun] if verb not in listed]
    for verb, az_flags in AZURE[noun].items():
        row = listed.get(verb, {})
        said = {name for column in row.values() for flag in flags(column) for name in flag.split("/")}
        if row.get("absent", "").startswith("the command: "):
            continue
        missing += [f"{noun} {verb} {flag}" for flag in az_flags.split() if not set(flag.split("/")) <= said]
    assert not missing
    ours = {verb for verb, row in listed.items() if row["ours"].startswith("the command: ")}
    assert ours == set(listed) - set(AZURE[noun]), "what az lacks is ours, and nothing else is"


def test_what_is_not_done_says_why(page: dict[str, list[Row]]) -> None:
    silent = []
    for noun in AZURE:
        for verb, row in rows(page, noun).items():
            for column in ("accepted and ignored", "absent"):
                cell = row[column]
                if cell and not cell.startswith("the command: ") and len(cell.partition(": ")[2]) < 8:
                    silent.append(f"{noun} {verb}, {column}: {cell}")
    silent += [row["flag"] for row in page[ALL] if row["verdict"] != "works" and len(row["note"]) < 8]
    assert not silent


def test_flags_of_every_command(page: dict[str, list[Row]]) -> None:
    assert {row["verdict"] for row in page[ALL]} <= VERDICTS
    wanted = everywhere(page) - {"--no-wait"}
    lacking = [
        f"{noun} {verb} {flag}"
        for noun in AZURE
        for verb in rows(page, noun)
        if (found := command(noun, verb)) is not None
        for flag in wanted - options(found)
    ]
    assert not lacking
    for noun in AZURE:
        for verb in {"create", "update", "delete"} & set(rows(page, noun)):
            found = command(noun, verb)
            assert found is not None
            assert "--no-wait" in options(found), f"{noun} {verb}"


def test_other_commands_are_there_or_not(page: dict[str, list[Row]]) -> None:
    for row in page[REST]:
        assert row["verdict"] in VERDICTS
        assert len(row["note"]) > 8, row["command"]
        for written in codes(row["command"]):
            at: click.Command | None = tidemill
            for word in (word for word in written.split() if not word.startswith("-")):
                at = at.get_command(click.Context(at), word) if isinstance(at, click.Group) else None
            assert (at is not None) == (row["verdict"] != "absent"), written
            if at is not None:
                known = {name for parameter in at.params for name in parameter.opts}
                assert {word for word in written.split() if word.startswith("-")} <= known, written


def test_every_noun_has_its_table(page: dict[str, list[Row]]) -> None:
    assert set(AZURE) <= set(page) & set(COMMANDS)


# --- rows of the contract ---------------------------------------------------------------------------------------------


def of_the_contract(page: dict[str, list[Row]]) -> Iterator[tuple[str, Row]]:
    for heading in OF_THE_CONTRACT:
        yield from ((heading, row) for row in page[heading])


def test_each_row_of_the_contract_has_a_verdict_and_what_it_needs(page: dict[str, list[Row]]) -> None:
    wrong = []
    for heading, row in of_the_contract(page):
        name = f"{heading}: {row['row']}"
        if row["verdict"] not in VERDICTS:
            wrong.append(f"{name}: {row['verdict']!r} is no verdict")
        if row["verdict"] != "absent" and not codes(row["shown by"]):
            wrong.append(f"{name}: no test shows it")
        if row["verdict"] != "works" and len(row["note"]) < 8:
            wrong.append(f"{name}: no word why")
    assert not wrong


def test_the_tests_that_show_it_exist_and_run(root: Path, page: dict[str, list[Row]]) -> None:
    named = {code for _, row in of_the_contract(page) for code in codes(row["shown by"])}
    assert len(named) > 60
    missing = []
    known: dict[str, set[str]] = {}
    for test in sorted(named):
        file, _, name = test.partition("::")
        if file not in known:
            known[file] = running_tests(root / "tests" / file) if (root / "tests" / file).is_file() else set()
        if name not in known[file]:
            missing.append(test)
    assert not missing


def running_tests(file: Path) -> set[str]:
    """Names of a module's test functions, those of its classes too, without those that are skipped as a whole."""
    tree = ast.parse(file.read_text())
    marks = [
        node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    if any(skips(mark.value) for mark in marks):
        return set()
    found = set()
    for scope in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))):
        if isinstance(scope, ast.ClassDef) and any(skips(mark) for mark in scope.decorator_list):
            continue
        for node in scope.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found |= set() if any(skips(mark) for mark in node.decorator_list) else {node.name}
    return found


def skips(mark: ast.expr) -> bool:
    return any(word in ast.unparse(mark) for word in ("mark.skip", "mark.xfail"))


def test_a_skipped_test_shows_nothing(tmp_path: Path) -> None:
    file = tmp_path / "test_x.py"
    file.write_text(
        "import pytest\n\n@pytest.mark.skip\ndef test_a(): ...\n\ndef test_b(): ...\n\ndef not_one(): ...\n"
    )
    assert running_tests(file) == {"test_b"}
    file.write_text("import pytest\npytestmark = pytest.mark.skipif(True, reason='x')\ndef test_b(): ...\n")
    assert running_tests(file) == set()
