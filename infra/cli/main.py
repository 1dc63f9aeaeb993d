"""The root command: a table of names, so that `tidemill --help` imports nothing else."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass

import click

from infra.cli.failures import exit_code_of


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives (`module:attribute`) and its line of help."""

    target: str
    help: str


COMMANDS: dict[str, Entry] = {
    # the stack
    "up": Entry("infra.cli.stack:up", "Start the stack: Kafka, Postgres, stream, service, dashboard."),
    "status": Entry("infra.cli.stack:status", "Readiness, address and memory of each part."),
    "logs": Entry("infra.cli.stack:logs", "Show or follow the log of a part."),
    "down": Entry("infra.cli.stack:down", "Stop the stack; nothing stored is lost."),
    "reset": Entry("infra.cli.stack:reset", "Stop the stack and delete all it has stored."),
    "doctor": Entry("infra.cli.stack:doctor", "Check this machine for what the stack needs."),
    # readings
    "simulate": Entry("infra.cli.simulate:simulate", "Publish readings of a simulated fleet of pumps."),
    "replay": Entry("infra.cli.replay:replay", "Publish recorded CSV or Parquet files as readings."),
    "topics": Entry("infra.cli.topics:topics", "Create and show the Kafka topics."),
    "stream": Entry("infra.cli.stream:stream", "Define streams, check them, run them; show how far they are."),
    "alert": Entry("infra.cli.alert:alert", "Alerts on windows: list, show; the rules that raise them."),
    "dlq": Entry("infra.cli.dlq:dlq", "Dead letters: list, show, replay after a fix, discard."),
    # stores
    "load": Entry("infra.cli.load:load", "Load static data (sites, machines, sensors, maintenance) from CSV files."),
    "migrate": Entry("infra.cli.migrate:migrate", "Bring the database's schema up to date."),
    "lake": Entry("infra.cli.lake:lake", "How the lake's tables stand; join small files, delete what nobody needs."),
    "sql": Entry("infra.cli.sql:sql", "Query the lake and Postgres together (DuckDB)."),
    # batch endpoints
    "compute": Entry("infra.cli.compute:compute", "Compute clusters."),
    "model": Entry("infra.cli.model:model", "Registered models."),
    "data": Entry("infra.cli.data:data", "Data assets: files and folders that jobs read."),
    "environment": Entry("infra.cli.environment:environment", "Environments: what scoring scripts need installed."),
    "component": Entry("infra.cli.component:component", "Components: steps of pipelines, and pipelines."),
    "datastore": Entry("infra.cli.datastore:datastore", "Datastores: names of folders."),
    "batch-endpoint": Entry("infra.cli.batch_endpoint:batch_endpoint", "Batch endpoints: create, invoke, …"),
    "batch-deployment": Entry("infra.cli.batch_deployment:batch_deployment", "Deployments of a batch endpoint."),
    "job": Entry("infra.cli.job:job", "Jobs: show, stream, list, cancel."),
    "schedule": Entry("infra.cli.schedule:schedule", "Schedules that invoke endpoints and run jobs by themselves."),
    "token": Entry("infra.cli.token:token", "Access tokens of the service."),
    # what scripts for az ask of their surroundings
    "account": Entry("infra.cli.azure_context:account", "Subscription and access token, as scripts for az ask."),
    "configure": Entry("infra.cli.azure_context:configure", "Names that scripts for az set and ask for."),
    "group": Entry("infra.cli.azure_context:group", "The resource group that scripts for az ask for."),
    "workspace": Entry("infra.cli.azure_context:workspace", "The workspace that scripts for az ask for."),
    # processes and the whole
    "serve": Entry("infra.cli.serve:serve", "Run the service: REST API, scheduler, job runner."),
    "dashboard": Entry("infra.cli.dashboard:dashboard", "Run the Streamlit dashboard."),
    "evaluate": Entry("infra.cli.evaluate:evaluate", "Compare predictions with the simulator's ground truth."),
    "demo": Entry("infra.cli.demo:demo", "The whole stack end to end, in a few minutes."),
}


class LazyRoot(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, attribute = entry.target.split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.command(
    cls=LazyRoot,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="Sensors to Kafka to a Delta lake, scored by batch endpoints, on this machine.",
)
@click.version_option(package_name="tidemill", prog_name="tidemill")
@click.option("--home", metavar="DIR", help="State directory (TIDEMILL_HOME; default .tidemill).")
@click.option("--debug", is_flag=True, help="Show tracebacks of failures.")
def root(home: str | None, debug: bool) -> None:
    # children and lazily read settings must see the same home as this process
    if home is not None:
        os.environ["TIDEMILL_HOME"] = home
    if debug:
        os.environ["TIDEMILL_DEBUG"] = "1"


def main() -> None:
    """Entry point `tidemill`. Data on stdout, everything else on stderr; exit codes as infra.cli.failures lists."""
    try:
        # click gives back the code of an Exit, and what a command returned otherwise
        code = root.main(standalone_mode=False, prog_name="tidemill")
        sys.exit(code if isinstance(code, int) else 0)
    except BaseException as error:
        if os.environ.get("TIDEMILL_DEBUG") and not isinstance(error, (KeyboardInterrupt, click.ClickException)):
            raise
        sys.exit(exit_code_of(error))


if __name__ == "__main__":
    main()
