"""The chain of the scheduled export: the missteps that only it knows, and the smallest role that is enough for it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from keyless.api import Reason
from keyless.billing.access import EXPORT, export_access, export_statements
from keyless.cli.verifying import EXPORT_SUBJECT
from keyless.identity.verify import Chain, State, held, render_text, verify
from keyless.identity.verify.kube_facts import last_run_of
from keyless.identity.verify.model import ANNOTATION, ControlPlane, Facts, Pod, Role, Run, Space, Workload
from keyless.identity.verify.permission_fix import needed, permissions
from keyless.policy import Named, parse
from unit.identity.verify.chains import ACCOUNT, PLACE, named, trust, web, written
from unit.identity.verify.chains import irsa as of_a_control_plane

ROLE = f"arn:aws:iam::{ACCOUNT}:role/keyless-billing-export"
NEEDS = export_access("usage", "acme", ("usage", "report"))
SCHEDULE = {"billing.export.schedule": "0 3 1-3 * *", "account": "acme", **PLACE}


def smallest():
    document = parse(written(*export_statements(NEEDS, "acme", "report")), "identity")
    return (Named("inline policy keyless-billing-export", document),)


def chain(**changes) -> Facts:
    token = web(f"system:serviceaccount:default:{EXPORT}")
    facts = replace(
        of_a_control_plane(),
        subject=EXPORT_SUBJECT,
        access=NEEDS,
        space=Space(SCHEDULE, (), frozenset({"default"})),
        control_plane=ControlPlane("", "", "default", {}),
        workload=Workload({ANNOTATION: ROLE}, True, (), Run("billing-export-1", "Complete")),
        role=Role(ROLE, trust(token), smallest(), written=written(token)),
    )
    return replace(facts, **changes)


def test_a_chain_that_holds_is_told_link_by_link_and_is_the_spaces_own():
    links = verify(chain())
    assert [link.name for link in links] == [
        "Helm values", "no static keys", "workload", "service account", "OIDC provider", "audience", "trust",
        "permission", "last run",
    ]  # fmt: skip
    assert {link.state for link in links} == {State.HELD}
    assert not any(link.notes for link in links)
    assert render_text([Chain(chain(), links)]).startswith("billing export of the Space (namespace default)\n")


@pytest.mark.parametrize("lost", NEEDS.actions)
def test_a_right_that_lacks_is_named_and_the_fix_gives_that_and_nothing_beside(lost):
    left = [one for one in export_statements(NEEDS, "acme", "report") if lost not in one["Action"]]
    document = parse(written(*left), "identity")
    role = replace(chain().role, identity=(Named("inline policy x", document),), inline={"x": written(*left)})
    link = named(chain(role=role), "permission")
    assert (link.state, link.reason) == (State.BROKEN, Reason.PERMISSION_MISSING)
    assert link.found.startswith(f"{lost} on arn:aws:s3:::usage")
    assert lost in link.fix
    others = set(NEEDS.actions) - {lost}
    assert not any(re.search(rf"{other}\b", link.fix) for other in others)


def test_a_new_role_may_write_no_usage_and_read_no_report():
    for statement in permissions(needed(NEEDS)):
        text = " ".join(statement["Resource"])
        assert ("s3:PutObject" in statement["Action"]) == ("report/" in text)
        assert ("s3:GetObject" in statement["Action"]) == ("manifest/" in text)


@pytest.mark.parametrize(
    ("changes", "name", "reason", "said"),
    [
        ({"space": Space(PLACE, (), frozenset())}, "Helm values", Reason.COMPONENT_NOT_ENABLED, "schedule is empty"),
        ({"workload": Workload({ANNOTATION: ROLE}, False, ())}, "workload", Reason.WORKLOAD_MISSING, "no such CronJob"),
        ({"workload": Workload(None, True, ())}, "service account", Reason.SERVICE_ACCOUNT_MISSING, "no service"),
        ({"workload": Workload({}, True, ())}, "service account", Reason.ROLE_NOT_NAMED, "no annotation"),
        (
            {"space": Space({**SCHEDULE, "billing.export.secretRef.name": "keys"}, (), frozenset())},
            "no static keys", Reason.STATIC_KEYS_SET, "from that Secret",
        ),
        (
            {"workload": Workload({ANNOTATION: ROLE}, True, (), Run("billing-export-2", "Failed", "exit 1"))},
            "last run", Reason.LAST_RUN_FAILED, "billing-export-2 failed: exit 1",
        ),
    ],
)  # fmt: skip
def test_each_misstep_has_its_link_and_its_reason(changes, name, reason, said):
    link = named(chain(**changes), name)
    assert (link.state, link.reason) == (State.BROKEN, reason)
    assert said in link.found
    assert link.fix or link.advice


@pytest.mark.parametrize(("run", "said"), [(None, "not run yet"), (Run("billing-export-3", "Running"), "runs")])
def test_before_it_has_ended_once_nothing_is_proven(run, said):
    facts = chain(workload=Workload({ANNOTATION: ROLE}, True, (), run))
    link = named(facts, "last run")
    assert link.state is State.UNKNOWN
    assert said in link.found
    assert not held(verify(facts))


WEB = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}


@pytest.mark.parametrize("state", ["Complete", "Failed"])
@pytest.mark.parametrize(
    ("outdated", "pod", "env", "said"),
    [
        (True, "none", {}, "ran from an earlier template"),
        (False, "billing-export-1-a", {}, "its pod lacks AWS_ROLE_ARN"),
        (
            False,
            "billing-export-1-a",
            {**WEB, "AWS_ROLE_ARN": f"{ROLE}-old"},
            f"its pod carries AWS_ROLE_ARN={ROLE}-old",
        ),
        (False, "billing-export-1-a", {**WEB, "AWS_ROLE_ARN": ROLE}, ""),
        (False, "billing-export-0-a", {}, ""),
    ],
)
def test_a_run_of_before_is_neither_proof_nor_fault_and_running_it_anew_is_what_helps(state, outdated, pod, env, said):
    run = Run("billing-export-1", state, outdated=outdated)
    link = named(chain(workload=Workload({ANNOTATION: ROLE}, True, (Pod(pod, False, "", env),), run)), "last run")
    if said:
        assert (link.state, link.reason) == (State.UNKNOWN, None)
        assert said in link.found
        assert link.fix.startswith("kubectl create job --from=cronjob/billing-export ")
    else:
        assert link.state is (State.HELD if state == "Complete" else State.BROKEN)


@pytest.mark.parametrize(
    ("ran", "now", "outdated"),
    [
        ({"a": 1}, {"a": 1}, False),
        ({"a": 1}, {"a": 2}, True),
        (None, {"a": 2}, False),
        ({"a": 1}, None, False),
    ],
)
def test_a_job_of_another_template_is_told_from_one_of_this(ran, now, outdated):
    made = {**job("billing-export-1", "2026-11-01T00:00:00Z", Complete=""), "spec": {"template": {"spec": ran}}}
    found = last_run_of([made], EXPORT, now)
    assert found is not None
    assert (found.state, found.outdated) == ("Complete", outdated)


def test_trust_of_the_collectors_does_not_admit_it():
    token = web("system:serviceaccount:mxp-1-system:vector")
    facts = chain(role=Role(ROLE, trust(token), smallest(), written=written(token)))
    assert named(facts, "trust").state is State.BROKEN
    assert f"system:serviceaccount:default:{EXPORT}" in named(facts, "trust").fix


def job(name, made, **conditions):
    listed = [{"type": kind, "status": "True", "reason": reason} for kind, reason in conditions.items()]
    return {"metadata": {"name": name, "creationTimestamp": made}, "status": {"conditions": listed}}


def test_the_last_run_is_the_newest_job_of_the_cron_job_however_it_was_made():
    jobs = [
        job("billing-export-2", "2026-11-02T03:00:00Z", Failed="PodFailurePolicy"),
        job("billing-export-now", "2026-11-03T10:00:00Z", Complete="CompletionsReached"),
        job("billing-export-1", "2026-11-01T03:00:00Z", Complete="CompletionsReached"),
        job("another", "2026-11-09T03:00:00Z", Failed="x"),
    ]
    assert last_run_of(jobs, "billing-export") == Run("billing-export-now", "Complete", "CompletionsReached")
    assert last_run_of(jobs[:1], "billing-export") == Run("billing-export-2", "Failed", "PodFailurePolicy")
    assert last_run_of([job("billing-export-9", "2026-11-09T03:00:00Z")], "billing-export").state == "Running"
    assert last_run_of(jobs[3:], "billing-export") is None
