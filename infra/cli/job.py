"""`tidemill job`: what became of an invocation."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import click

from infra.cli.command import Changes, Noun, connected, file_option, generic_update, name_option, note, set_option
from infra.cli.failures import JobEnded
from infra.cli.output import Tabled
from scoring.errors import Conflict, InvalidInput, NotFound

_MOST = 10_000
_ENDED = {"Completed", "Failed", "Canceled"}


@click.group(cls=Noun)
def job() -> None:
    """Jobs: look at them, follow them, cancel them, take them up again."""


web_option = click.option("-e", "--web", is_flag=True, hidden=True)


@job.command()
@name_option
@web_option
def show(name: str, web: bool) -> Any:
    """Show a job. Example: tidemill job show -n JOB --query status -o tsv"""
    with connected() as client:
        return client.jobs.show(name)


@job.command("list")
@click.option("-p", "--parent-job-name", help="List the steps of this job.")
@click.option(
    "-r", "--max-results", type=click.IntRange(1, _MOST), default=50, show_default=True, help="Most jobs shown."
)
@click.option("--all-results", is_flag=True, help="As many as there are.")
@click.option("--archived-only", is_flag=True, help="Archived jobs alone.")
@click.option("--include-archived", is_flag=True, help="Archived jobs too.")
@click.option("--status", help="Only jobs in this state, e.g. Failed.")
@click.option("--schedule-name", help="Only jobs of this schedule.")
def list_(max_results: int, all_results: bool, **options: Any) -> Any:
    """List jobs, newest first. Example: tidemill job list --status Failed -o table"""
    with connected() as client:
        found = client.jobs.list(max_results=_MOST if all_results else max_results, **options)
    return Tabled(found, _row)


def _row(shown: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": shown["name"],
        "status": shown["status"],
        "experiment": shown["experiment_name"],
        "compute target": shown["compute"],
        "job type": shown["type"],
        "created on": shown["created_at"],
    }


@job.command()
@name_option
def cancel(name: str) -> Any:
    """Ask for a job's end; it is Canceled soon after. Example: tidemill job cancel -n JOB"""
    with connected() as client:
        return client.jobs.cancel(name)


@job.command()
@name_option
def stream(name: str) -> None:
    """Follow a job to its end. Ends with 7 when it Failed, 8 when it was Canceled; Ctrl-C leaves it running.

    Example: tidemill job stream -n JOB
    """
    from infra.cli.job_stream import JobStream

    try:
        with connected() as client:
            ended = JobStream(client.jobs, name).to_the_end()
    except KeyboardInterrupt:
        note(f"\ndetached; job {name} goes on (`tidemill job cancel -n {name}` ends it)")
        raise
    if ended["status"] != "Completed":
        if ended["error"]:
            note(ended["error"].rstrip())
        raise JobEnded(name, ended["status"], ended["status_reason"])


@job.command()
@name_option
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended; Ctrl-C leaves it running.")
@click.option("--source", metavar="PATTERN", help="Only these files, e.g. 'logs/user/*'.")
def logs(name: str, follow: bool, source: str | None) -> None:
    """Print all log files of a job as one, in the order of time. Example: tidemill job logs -n JOB --follow"""
    with connected() as client:
        for line in client.jobs.log_lines(name, follow=follow):
            if source is None or fnmatch.fnmatch(line["source"], source):
                click.echo(f"{line['at']} {line['source'].removeprefix('logs/')}: {line['text']}")


@job.command()
@name_option
@click.option(
    "-p",
    "--download-path",
    type=click.Path(path_type=Path),
    default=Path("."),
    show_default=True,
    help="Folder to write into.",
)
@click.option("--output-name", help="Download this output, `score`; default the log tree.")
@click.option("--all", "all_", is_flag=True, help="The log tree and every output.")
def download(name: str, download_path: Path, output_name: str | None, all_: bool) -> None:
    """Download what an ended job has written: its predictions, or its logs.

    The output goes straight into the folder; that of the step `JOB:batchscoring`, and with --all, goes into
    `named-outputs/score` below it. The log tree goes into `artifacts`.

    Example: tidemill job download -n JOB --output-name score -p ./out
    """
    with connected() as client:
        found = client.jobs.show(name)
        if found["status"] not in _ENDED:
            raise Conflict(f"job {name} is {found['status']}; its files can be downloaded when it has ended")
        if output_name is not None and output_name not in found["outputs"]:
            note(f"job {name} has no output named {output_name}; it has {', '.join(found['outputs'])}")
            return
        if all_ or output_name is None:
            written = client.jobs.download_artifacts(name, download_path / "artifacts")
            note(f"downloaded the logs to {written}")
        for output in found["outputs"] if all_ else [output_name] if output_name is not None else []:
            is_parent = "parent_job_name" not in found and not all_
            target = download_path if is_parent else download_path / "named-outputs" / output
            try:
                written = client.jobs.download_output(name, target, output_name=output)
            except NotFound as missing:
                if not all_:
                    raise
                note(f"warning: {missing}")
                continue
            note(f"downloaded {output} to {written}")


@job.command()
@name_option
def archive(name: str) -> None:
    """Leave a job out of lists. Example: tidemill job archive -n JOB"""
    with connected() as client:
        client.jobs.archive(name)


@job.command()
@name_option
def restore(name: str) -> None:
    """Undo archiving. Example: tidemill job restore -n JOB"""
    with connected() as client:
        client.jobs.restore(name)


@job.command()
@name_option
@web_option
@generic_update
def update(name: str, changes: Changes, web: bool) -> Any:
    """Change display_name, description, tags or properties. Example: tidemill job update -n JOB --set tags.owner=ops"""
    from scoring.specs.document import Document
    from scoring.specs.job_changes import JobChangesSpec, changes_of
    from scoring.specs.validation import parse

    with connected() as client:
        shown = client.jobs.show(name)
        wanted = changes_of(shown, changes.applied(Document(value=shown)).value)
        parse(JobChangesSpec, Document(value=wanted))
        return client.jobs.update(name, wanted) if wanted else shown


@job.command("show-services")
@name_option
@click.option("-i", "--node-index", type=int, help="Of the services of one instance; a job has none of its own there.")
@web_option
def show_services(name: str, node_index: int | None, web: bool) -> Any:
    """Show the addresses of a job. Example: tidemill job show-services -n JOB"""
    with connected() as client:
        return client.jobs.show(name)["services"]


@job.command()
@name_option
def resume(name: str) -> Any:
    """Take a Failed or Canceled job up again; what has been scored is kept. Example: tidemill job resume -n JOB"""
    with connected() as client:
        return client.jobs.resume(name)


@job.command("retry-failed")
@name_option
def retry_failed(name: str) -> Any:
    """Score an ended job's failed mini-batches again; their rows take the place of the old ones.

    Example: tidemill job retry-failed -n JOB
    """
    with connected() as client:
        return client.jobs.retry_failed(name)


@job.command()
@file_option
@set_option
@click.option("-n", "--name", help="The job's name.")
@click.option("-s", "--stream", "stream_", is_flag=True, hidden=True)
@click.option("-a", "--save-as", hidden=True)
@click.option("--skip-validation", is_flag=True, hidden=True)
@web_option
def create(file: str | None, **_: Any) -> None:
    """Refused: jobs are made by invoking an endpoint. Example: tidemill job create -f pipeline.yml"""
    raise _not_run_here(file)


@job.command()
@file_option
@set_option
@click.option("-n", "--name", hidden=True)
def validate(file: str | None, **_: Any) -> None:
    """Refused, as `create`. Example: tidemill job validate -f pipeline.yml"""
    raise _not_run_here(file)


def _not_run_here(file: str | None) -> InvalidInput:
    from scoring.specs.document import read_document

    if file is None:
        return InvalidInput("a file is needed", place="--file")
    document = read_document(file)
    kind = document.value.get("type")
    of_type = f"a job of type {kind}" if isinstance(kind, str) else "a job that a file describes"
    return InvalidInput(
        f"{of_type} is not run here; deploy the scoring script to a batch endpoint and use "
        "`tidemill batch-endpoint invoke`",
        place=document.place(("type",)) or file,
    )
