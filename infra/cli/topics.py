"""`tidemill topics`: create and show the Kafka topics."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta

import click

from infra.cli.answer import Answer, answering
from infra.settings import Settings


@click.group(help="Create and show the Kafka topics.")
def topics() -> None:
    pass


@topics.command(help="Create the topics that are missing; once created, nothing changes.")
@click.option("--wait", "wait_seconds", default=30.0, show_default=True, metavar="SECONDS", help="Wait for the broker.")
def create(wait_seconds: float) -> None:
    from infra.wiring.broker import kafka_bootstrap
    from ingestion.kafka.topics import TopicAdmin, topic_specs, wait_for_broker

    settings = Settings()
    bootstrap = kafka_bootstrap(settings)
    wait_for_broker(bootstrap, timedelta(seconds=wait_seconds))
    specs = topic_specs(settings.stream.topics)
    with TopicAdmin(bootstrap) as admin:
        created = admin.ensure(specs)
    for spec in specs:
        state = "created" if spec.name in created else "exists"
        print(f"{spec.name}: {state}, {spec.partitions} partitions", file=sys.stderr)


@topics.command("list", help="Topics with their partitions, offsets and messages kept.")
@answering
def list_(answer: Answer) -> None:
    from infra.wiring.broker import kafka_bootstrap
    from ingestion.kafka.topics import TopicAdmin

    with TopicAdmin(kafka_bootstrap(Settings())) as admin:
        states = admin.describe(admin.names())
    rows = [
        {"name": one.name, "partitions": one.partitions, "messages": one.messages, "end_offsets": dict(one.end)}
        for one in states
    ]

    def lines() -> Iterator[str]:
        yield f"{'topic':<40} {'partitions':>10} {'messages':>12}  end offsets"
        for one in states:
            ends = ", ".join(str(one.end[partition]) for partition in sorted(one.end))
            yield f"{one.name:<40} {one.partitions:>10} {one.messages:>12,}  {ends}"

    answer.show(rows, lines)
