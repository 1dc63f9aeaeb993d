"""Instances of clusters: how many, how long, for whom, and taken away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from scoring.compute.cluster import Compute
from scoring.compute.fleet import Fleet, NodeState
from scoring.errors import Conflict, NoInstance, NotFound

CPU = Compute(name="cpu", max_instances=2, idle_time_before_scale_down=10)


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    clock = Time()
    monkeypatch.setattr("scoring.compute.fleet.time.monotonic", clock)
    return clock


@pytest.fixture
def dropped() -> list[str]:
    return []


@pytest.fixture
def fleet(dropped: list[str]) -> Fleet:
    return Fleet(drop=dropped.append)


def names(fleet: Fleet) -> list[tuple[str, NodeState]]:
    return [(node.name, node.state) for node in fleet.nodes("cpu")]


def test_no_more_than_max_instances_work_and_each_for_one_job(fleet: Fleet) -> None:
    assert [i.name for i in fleet.acquire(CPU, "one", 1)] == ["node0"]
    assert [i.name for i in fleet.acquire(CPU, "two", 5)] == ["node1"]
    assert fleet.acquire(CPU, "three", 1) == []
    assert [(node.name, node.job) for node in fleet.nodes("cpu")] == [("node0", "one"), ("node1", "two")]


def test_a_cluster_is_crowded_while_a_job_without_an_instance_waits(fleet: Fleet, time: Time) -> None:
    first, _ = fleet.acquire(CPU, "one", 2)
    assert fleet.crowded() == []
    assert fleet.acquire(CPU, "one", 1) == []  # it has instances: it wants more, and works
    assert fleet.crowded() == []
    assert fleet.acquire(CPU, "two", 1) == []
    assert fleet.crowded() == [CPU.name]
    fleet.release(first)
    assert fleet.acquire(CPU, "two", 1) == [first]
    assert fleet.crowded() == []


def test_a_job_too_many_is_left_in_the_queue_and_its_cluster_avoided_until_there_is_room(time: Time) -> None:
    freed: list[float] = []
    fleet = Fleet(drop=lambda place: None, most_waiting=1, on_free=lambda: freed.append(time.now))
    other = replace(CPU, name="gpu", max_instances=1)
    first, _ = fleet.acquire(CPU, "one", 2)
    (last,) = fleet.acquire(other, "two", 1)
    assert fleet.acquire(CPU, "three", 1) == []
    with pytest.raises(NoInstance, match="waits for an instance of compute gpu: all of them work for other jobs"):
        fleet.acquire(other, "four", 1)
    assert fleet.acquire(CPU, "three", 1) == []  # who waits already goes on
    time.now += 100
    assert fleet.crowded() == ["gpu"], "the other one's waiting job does not ask any more"
    fleet.release(last)
    assert freed == [time.now]
    assert fleet.crowded() == []
    assert fleet.acquire(other, "four", 1) == [last]
    fleet.release(first)


def test_an_instance_that_comes_free_is_kept_for_the_queue_for_a_while(time: Time) -> None:
    fleet = Fleet(drop=lambda place: None, most_waiting=0)
    first, _ = fleet.acquire(CPU, "one", 1) + fleet.acquire(CPU, "two", 1)
    with pytest.raises(NoInstance):
        fleet.acquire(CPU, "three", 1)
    time.now += 100
    assert fleet.acquire(CPU, "two", 1) == []  # the cluster is full still
    fleet.release(first)
    assert fleet.acquire(CPU, "two", 1) == []
    assert fleet.acquire(CPU, "three", 1) == [first]
    fleet.release(first)
    time.now += 100
    assert fleet.acquire(CPU, "two", 1) == [first], "nobody of the queue came by"


def test_jobs_that_wait_are_served_in_their_order_before_a_job_that_wants_more(fleet: Fleet, time: Time) -> None:
    first, _ = fleet.acquire(CPU, "one", 2)
    assert fleet.acquire(CPU, "two", 1) == []
    assert fleet.acquire(CPU, "three", 1) == []
    fleet.release(first)
    assert fleet.acquire(CPU, "three", 1) == []
    assert fleet.acquire(CPU, "one", 1) == []
    assert fleet.acquire(CPU, "two", 1) == [first]
    fleet.release(first)
    assert fleet.acquire(CPU, "three", 1) == [first]


def test_a_job_that_asks_no_more_is_waited_for_no_more(fleet: Fleet, time: Time) -> None:
    first, _ = fleet.acquire(CPU, "one", 2)
    assert fleet.acquire(CPU, "canceled", 1) == []
    fleet.release(first)
    assert fleet.acquire(CPU, "two", 1) == []
    time.now += 4
    assert fleet.acquire(CPU, "two", 1) == [first]


def test_an_idle_instance_is_taken_before_a_new_one_starts(fleet: Fleet, time: Time) -> None:
    (first,) = fleet.acquire(CPU, "one", 1)
    fleet.release(first)
    assert names(fleet) == [("node0", NodeState.IDLE)]
    assert fleet.acquire(CPU, "two", 1) == [first]
    assert first.jobs == 2


def test_idle_instances_end_after_the_idle_time_down_to_min_instances(
    fleet: Fleet, time: Time, dropped: list[str]
) -> None:
    cluster = replace(CPU, min_instances=1)
    first, second = fleet.acquire(cluster, "one", 2)
    fleet.release(first)
    time.now += 5
    fleet.release(second)
    time.now += 9
    fleet.sweep()
    assert names(fleet) == [("node1", NodeState.IDLE)], "node0 was idle for longer"
    time.now += 100
    fleet.sweep()
    assert names(fleet) == [("node1", NodeState.IDLE)]
    assert dropped == ["cpu/node0"]


def test_min_instances_are_there_as_soon_as_they_are_asked_for_and_go_when_not_any_more(
    fleet: Fleet, time: Time
) -> None:
    fleet.configure(replace(CPU, min_instances=2))
    assert len(fleet.nodes("cpu")) == 2
    fleet.configure(CPU)
    time.now += 11
    fleet.sweep()
    assert fleet.nodes("cpu") == []


def test_zero_idle_time_ends_an_instance_with_its_job(fleet: Fleet, dropped: list[str]) -> None:
    (instance,) = fleet.acquire(replace(CPU, idle_time_before_scale_down=0), "one", 1)
    fleet.release(instance)
    assert fleet.nodes("cpu") == []
    assert dropped == ["cpu/node0"]


def test_low_priority_instances_are_taken_away_idle_ones_at_once_busy_ones_when_their_job_lets_go(
    fleet: Fleet, dropped: list[str]
) -> None:
    spot = replace(CPU, tier="low_priority")
    busy, idle = fleet.acquire(spot, "one", 2)
    fleet.release(idle)
    assert fleet.preempt("cpu") == ["node0", "node1"]
    assert dropped == ["cpu/node1"]
    assert names(fleet) == [("node0", NodeState.LEAVING)]
    assert busy.is_leaving
    (next_one,) = fleet.acquire(spot, "one", 2)
    assert next_one.name == "node1", "the leaving one still counts"
    fleet.release(busy)
    assert [node.name for node in fleet.nodes("cpu")] == ["node1"]


def test_what_is_refused(fleet: Fleet) -> None:
    fleet.acquire(CPU, "one", 1)
    with pytest.raises(Conflict, match="compute cpu is dedicated; only instances of tier low_priority are taken away"):
        fleet.preempt("cpu")
    fleet.configure(replace(CPU, tier="low_priority"))
    with pytest.raises(NotFound, match="compute cpu has no node node7; there are: node0"):
        fleet.preempt("cpu", "node7")


def test_a_deleted_cluster_ends_idle_instances_and_lets_jobs_end(fleet: Fleet, dropped: list[str]) -> None:
    busy, idle = fleet.acquire(CPU, "one", 2)
    fleet.release(idle)
    fleet.remove("cpu")
    assert names(fleet) == [("node0", NodeState.RUNNING)]
    fleet.release(busy)
    assert fleet.nodes("cpu") == []
    assert sorted(dropped) == ["cpu/node0", "cpu/node1"]


def test_what_was_used_is_kept_when_the_instances_are_gone(fleet: Fleet) -> None:
    (instance,) = fleet.acquire(replace(CPU, idle_time_before_scale_down=0), "one", 1)
    instance.core_seconds, instance.worker_seconds = 1.5, 4.0
    assert fleet.usage("cpu").core_seconds == 1.5
    fleet.release(instance)
    (other,) = fleet.acquire(CPU, "two", 1)
    other.core_seconds = 1.0
    assert (fleet.usage("cpu").core_seconds, fleet.usage("cpu").worker_seconds) == (2.5, 4.0)
