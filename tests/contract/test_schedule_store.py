"""What every ScheduleStore must do: what is due, and how far each schedule has come."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from scoring.components.jobs import CommandJob
from scoring.errors import NotFound
from scoring.job import NO_INPUT
from scoring.ports import ScheduleStore
from scoring.schedule import RecurrencePattern, RecurrenceTrigger
from scoring.triggers import Frequency
from storage.postgres.schedule_store import PostgresScheduleStore
from tests.contract.memory import MemoryScheduleStore
from tests.contract.memory_pipelines import a_command, a_pipeline, a_step
from tests.contract.values import NOW, a_schedule

MINUTE = timedelta(minutes=1)


class ScheduleStoreContract:
    @pytest.fixture
    def store(self) -> ScheduleStore:
        raise NotImplementedError

    def test_a_schedule_comes_back_whole(self, store: ScheduleStore) -> None:
        recurring = RecurrenceTrigger(
            frequency=Frequency.WEEK, interval=2, pattern=RecurrencePattern(hours=(8,), minutes=(15,), week_days=(0, 4))
        )
        pipeline = a_schedule("steps", endpoint_name="", input=NO_INPUT, pipeline=a_pipeline(a_step("only")))
        command = a_schedule("line", endpoint_name="", input=NO_INPUT, command=CommandJob(component=a_command("ls")))
        weekly = a_schedule("weekly", trigger=recurring, last_version=4)
        for schedule in (a_schedule(), weekly, pipeline, command):
            store.save(schedule)
            assert store.get(schedule.name) == schedule

    def test_an_unknown_schedule_is_not_found(self, store: ScheduleStore) -> None:
        with pytest.raises(NotFound, match="weekly"):
            store.get("weekly")
        store.save(a_schedule())
        with pytest.raises(NotFound, match="nightly"):
            store.get("weekly")

    def test_due_are_the_enabled_ones_whose_time_has_come(self, store: ScheduleStore) -> None:
        store.save(a_schedule("past", next_fire=NOW - MINUTE))
        store.save(a_schedule("now", next_fire=NOW))
        store.save(a_schedule("future", next_fire=NOW + MINUTE))
        store.save(a_schedule("never", next_fire=None))
        store.save(a_schedule("off", next_fire=NOW, is_enabled=False))
        assert {schedule.name for schedule in store.due(NOW)} == {"past", "now"}

    def test_a_fire_is_stored(self, store: ScheduleStore) -> None:
        store.save(a_schedule(next_fire=NOW))
        fired = a_schedule(
            next_fire=NOW + MINUTE, last_fire=NOW, last_job_name="job-1", last_skip="nothing new", missed=3
        )
        store.save(fired)
        assert store.get("nightly") == fired
        assert store.due(NOW) == []

    def test_a_change_is_stored(self, store: ScheduleStore) -> None:
        store.save(a_schedule())
        changed = a_schedule(is_enabled=False, next_fire=None, endpoint_name="fans", tags={}, description=None)
        store.save(changed)
        assert store.get("nightly") == changed

    def test_saving_never_moves_last_version(self, store: ScheduleStore) -> None:
        """Only the transaction that completes a job does: an older view must not make anything be scored twice."""
        store.save(a_schedule(last_version=7))
        store.save(a_schedule(last_version=None))
        assert store.get("nightly").last_version == 7
        store.save(a_schedule(last_version=9, next_fire=NOW))
        assert store.get("nightly").last_version == 7

    def test_what_is_deleted_is_gone_and_may_be_deleted_again(self, store: ScheduleStore) -> None:
        store.save(a_schedule(last_version=7))
        store.delete("nightly")
        store.delete("nightly")
        with pytest.raises(NotFound):
            store.get("nightly")
        store.save(a_schedule())
        assert store.get("nightly").last_version is None


class TestMemoryScheduleStore(ScheduleStoreContract):
    @pytest.fixture
    def store(self) -> ScheduleStore:
        return MemoryScheduleStore()


@pytest.mark.stack
class TestPostgresScheduleStore(ScheduleStoreContract):
    @pytest.fixture
    def store(self, engine: sa.Engine) -> ScheduleStore:
        return PostgresScheduleStore(engine)

    def test_the_longest_overdue_comes_first(self, store: ScheduleStore) -> None:
        for name, late in (("a", 1), ("b", 3), ("c", 2)):
            store.save(a_schedule(name, next_fire=NOW - late * MINUTE))
        assert [schedule.name for schedule in store.due(NOW)] == ["b", "c", "a"]

    def test_another_input_begins_with_its_own_version(self, store: ScheduleStore) -> None:
        store.save(a_schedule(last_version=7))
        store.save(a_schedule(input=replace(a_schedule().input, path="lake://late_readings"), last_version=None))
        assert store.get("nightly").last_version is None

    def test_a_schedule_disabled_while_it_fires_stays_disabled(self, store: ScheduleStore) -> None:
        store.save(a_schedule(next_fire=NOW))
        seen_by_the_scheduler = store.get("nightly")
        store.save(replace(store.get("nightly"), is_enabled=False, next_fire=None, description="changed"))
        store.save(replace(seen_by_the_scheduler, last_fire=NOW, last_job_name="job-1", next_fire=NOW + MINUTE))
        stored = store.get("nightly")
        assert (stored.is_enabled, stored.next_fire, stored.description) == (False, None, "changed")
        assert (stored.last_fire, stored.last_job_name) == (NOW, "job-1")

    def test_a_change_with_an_old_view_keeps_the_last_fire(self, store: ScheduleStore) -> None:
        store.save(a_schedule(next_fire=NOW))
        seen_by_the_user = store.get("nightly")
        store.save(replace(seen_by_the_user, last_fire=NOW, last_job_name="job-1", next_fire=NOW + MINUTE))
        store.save(replace(seen_by_the_user, description="changed"))
        stored = store.get("nightly")
        assert (stored.description, stored.last_fire, stored.last_job_name) == ("changed", NOW, "job-1")
