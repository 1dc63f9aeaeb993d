"""`tidemill job`: what became of an invocation."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from infra.cli.command import (
    Changes,
    Noun,
    body,
    connected,
    generic_update,
    name_option,
    note,
    placed,
    set_option,
    written,
)
from infra.cli.failures import JobEnded
from infra.cli.output import Tabled
from scoring.errors import Conflict, InvalidInput, NotFound

if TYPE_CHECKING:
    from infra.client.jobs import JobsClient

_MOST = 10_000
_ENDED = {"Completed", "Failed", "Canceled"}


@click.group(cls=Noun)
def job() -> None:
    """Jobs: run pipelines and commands; look at jobs, follow them, cancel them, take them up again."""


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
    _streamed(name)


def _streamed(name: str) -> None:
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
@click.option("--output-name", help="Download this output, e.g. `score`; default the log tree.")
@click.option("--all", "all_", is_flag=True, help="The log tree and every output, of a pipeline's steps too.")
def download(name: str, download_path: Path, output_name: str | None, all_: bool) -> None:
    """Download what an ended job has written: an output, or its logs.

    The predictions of a model go straight into the folder; any other output, that of a step, and with --all all of
    them, go into `named-outputs/NAME` below it. The log tree goes into `artifacts`. With --all a pipeline's steps
    come too, each into `steps/STEP`.

    Example: tidemill job download -n JOB --output-name score -p ./out
    """
    with connected() as client:
        found = client.jobs.show(name)
        if found["status"] not in _ENDED:
            raise Conflict(f"job {name} is {found['status']}; its files can be downloaded when it has ended")
        _download(client.jobs, found, download_path, output_name, all_)
        if all_ and found["type"] == "pipeline":
            for step in reversed(client.jobs.list(parent_job_name=name, max_results=_MOST)):
                if "step" in step:
                    _download(client.jobs, step, download_path / "steps" / step["step"], None, all_)


def _download(jobs: JobsClient, found: dict[str, Any], target: Path, output_name: str | None, all_: bool) -> None:
    name, outputs = found["name"], found["outputs"]
    if output_name is not None and output_name not in outputs:
        note(f"job {name} has no output named {output_name}; it has {', '.join(outputs) or 'none'}")
        return
    if all_ or output_name is None:
        note(f"downloaded the logs to {jobs.download_artifacts(name, target / 'artifacts')}")
    for output in outputs if all_ else [output_name] if output_name is not None else []:
        # of an invocation of a model the predictions come without a folder of their name
        is_plain = found.get("model") is not None and "parent_job_name" not in found and not all_
        folder = target if is_plain else target / "named-outputs" / output
        try:
            jobs.download_output(name, folder, output_name=output)
        except NotFound as missing:
            if not all_:
                raise
            note(f"warning: {missing}")
            continue
        note(f"downloaded {output} to {folder.absolute()}")


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
@click.option("-f", "--file", type=click.Path(), required=True, help="YAML file of a pipeline or a command.")
@click.option("-n", "--name", help="The job's name; beats the file's. Default: a generated one.")
@set_option
@click.option("-s", "--stream", "stream_", is_flag=True, help="Follow it to its end, as `job stream` does.")
@click.option("-a", "--save-as", type=click.Path(path_type=Path), help="Write the job into this file, as YAML.")
@click.option("--skip-validation", is_flag=True, hidden=True)
@web_option
def create(
    file: str,
    name: str | None,
    sets: tuple[str, ...],
    stream_: bool,
    save_as: Path | None,
    skip_validation: bool,
    web: bool,
) -> Any:
    """Run a pipeline or a command and print its job.

    Example: tidemill job create -f pipeline.yml --query name -o tsv
    """
    from scoring.specs.pipeline_job import parse_job

    document = written(file, sets, name=name)
    spec = parse_job(document)
    with connected() as client, placed(document):
        made = client.jobs.create(body(spec))
    if save_as is not None:
        _save(made, save_as)
    if stream_:
        _streamed(made["name"])
        with connected() as client:
            return client.jobs.show(made["name"])
    return made


def _save(made: dict[str, Any], target: Path) -> None:
    import yaml

    try:
        target.write_text(yaml.safe_dump(made, sort_keys=True, allow_unicode=True), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{target} could not be written: {error.strerror}", place="--save-as") from None


@job.command()
@click.option("-f", "--file", type=click.Path(), required=True, help="YAML file of a pipeline or a command.")
@click.option("-n", "--name", help="The job's name; beats the file's.")
@set_option
def validate(file: str, name: str | None, sets: tuple[str, ...]) -> Any:
    """Say whether `create` would take the file; nothing is run. Example: tidemill job validate -f pipeline.yml"""
    from scoring.specs.pipeline_job import parse_job

    document = written(file, sets, name=name)
    spec = parse_job(document)
    with connected() as client, placed(document):
        return client.jobs.validate(body(spec))
