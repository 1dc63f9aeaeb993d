"""What commands and parallel steps do alike: they begin with values, may take over outputs, and name theirs."""

from __future__ import annotations

from dataclasses import replace

from scoring.job import Job, JobStatus
from scoring.job_pass import JobPass
from scoring.pipeline.step_start import StepStart, earlier_outputs, fingerprint, listed, started, step_of


class StepPass(JobPass):
    """Used by the pass of each kind."""

    def begin(self) -> StepStart | None:
        """What it begins with; None where an earlier run's outputs were taken over, and all is done."""
        if self._held.job.status is JobStatus.QUEUED:
            self._save(JobStatus.PREPARING, "finding its inputs", started=True)
        job = self._held.job
        start = self._held.patiently(lambda: started(job, self._ports.steps, self._folder))
        mark = fingerprint(job, start, listed) if job.parent is not None else None
        if job.may_reuse and mark is not None and job.status is JobStatus.PREPARING:
            for earlier in self._held.patiently(lambda: self._ports.steps.reusable(mark)):
                outputs = earlier_outputs(earlier)
                if outputs is not None:
                    self._take_over(earlier, replace(job, fingerprint=mark, outputs=outputs))
                    return None
        self._held.save(replace(self._held.job, fingerprint=mark, outputs=start.outputs))
        self._stop_if_canceled()
        return start

    def complete(self, reason: str) -> Job:
        """Completed, its outputs registered under the names that were asked for."""
        if self._held.job.status is not JobStatus.FINALIZING:
            self._save(JobStatus.FINALIZING, "registering its outputs")
        self.register_outputs()
        job = self._held.job
        ended = replace(job.moved(JobStatus.COMPLETED, reason=reason), ended_at=self._ports.clock.now())
        self._log.result(ended)
        return self._held.save(ended)

    def register_outputs(self) -> None:
        """Under the names that were asked for; done again it changes nothing."""
        job = self._held.job
        for name, target in step_of(job).outputs.items():
            if target.name is not None and name in job.outputs:
                output, wanted, version = job.outputs[name], target.name, target.version
                self._held.patiently(
                    lambda name=name, output=output, wanted=wanted, version=version: (  # type: ignore[misc]
                        self._ports.steps.register(job, name, output, wanted, version)
                    )
                )

    def _take_over(self, earlier: Job, job: Job) -> None:
        reason = f"its outputs are those of job {earlier.name}: the same step ran there on the same inputs"
        self._save(JobStatus.FINALIZING, reason, job=replace(job, reused_from=earlier.name))
