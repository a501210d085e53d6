"""The links of a component that runs by a schedule: that it is to run, is there, how its last run ended. Pure."""

from __future__ import annotations

from keyless.api import Reason
from keyless.identity.verify.model import Facts, Link, Run, State
from keyless.identity.verify.pods import identity_fault
from keyless.identity.verify.values import upgrade


def schedule_is_set(facts: Facts) -> Link:
    """Without a schedule there is no CronJob."""
    subject, space = facts.subject, facts.space
    expected = f"{subject.enabled} says when it runs"
    if facts.enabled:
        return Link("Helm values", State.HELD, expected, f"{subject.enabled}={space.values[subject.enabled]}")
    fix = upgrade(space, {subject.enabled: "0 3 1-3 * *"})
    found = f"{subject.enabled} is empty"
    return Link("Helm values", State.BROKEN, expected, found, Reason.COMPONENT_NOT_ENABLED, fix)


def cron_job_is_there(facts: Facts) -> Link:
    """The chart makes it; somebody may have taken it away."""
    name = facts.subject.deployment
    expected = f"CronJob {name} in {facts.namespace}"
    if not facts.enabled:
        return Link("workload", State.SKIPPED, expected, "no schedule is set")
    if facts.workload is not None and facts.workload.deployed:
        return Link("workload", State.HELD, expected, name)
    fix = upgrade(facts.space, {})
    return Link("workload", State.BROKEN, expected, "no such CronJob", Reason.WORKLOAD_MISSING, fix)


def last_run_succeeded(facts: Facts) -> Link:
    """It did its work as the role; before its first run nobody knows."""
    run = facts.workload.last_run if facts.workload else None
    expected = "the last run did all there was to do"
    at_once = f"for a run at once: {facts.restart}"
    if not facts.enabled or facts.workload is None or not facts.workload.deployed:
        return Link("last run", State.SKIPPED, expected, "there is no CronJob")
    if run is None:
        return Link("last run", State.UNKNOWN, expected, "it has not run yet", advice=at_once)
    if run.state == "Running":
        return Link("last run", State.UNKNOWN, expected, f"{run.name} runs", advice="ask again when it has ended")
    if before := _of_before(facts, run):
        found = f"{run.name} ({run.state}) {before}: what it met says nothing of the next run"
        return Link("last run", State.UNKNOWN, expected, found, fix=facts.restart, advice="runs it now, as it is now")
    if run.state == "Complete":
        return Link("last run", State.HELD, expected, f"{run.name} is complete")
    log = f"kubectl logs job/{run.name} -n {facts.namespace}"
    found = f"{run.name} failed{f': {run.why}' if run.why else ''}"
    advice = f"{log} names each month that was refused and what settles it, or what AWS answered; {at_once}"
    return Link("last run", State.BROKEN, expected, found, Reason.LAST_RUN_FAILED, advice=advice)


def _of_before(facts: Facts, run: Run) -> str:
    """Why the run was another's than the next will be: each run's pod gets its identity when it is made."""
    if run.outdated:
        return "ran from an earlier template of the CronJob"
    own = [pod for pod in facts.pods if pod.name.startswith(f"{run.name}-")] if facts.role_arn else []
    fault = next((found for pod in own if (found := identity_fault(pod, facts))), "")
    return f"ran before its identity was as it is: its pod {fault}" if fault else ""
