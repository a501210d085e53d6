"""``keyless verify backup``: the bucket of snapshots is a link as that of usage is; a paused control plane is whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keyless.api import Reason
from keyless.cli.verifying import BACKUP
from keyless.identity.verify.model import Bucket, Condition, Facts, Link, Missing, Revision, State
from keyless.identity.verify.plan import held, verify
from unit.identity.verify.chains import irsa, pod_identity, stored, with_values, with_workload

SET = {"backup.enabled": "true", "backup.storage.aws.bucket": "usage", "backup.storage.aws.region": "us-west-2"}
PAUSED = Condition("False", "Paused", "paused since 2026-11-22T12:00:00Z: nothing of it runs")


def _chain(bucket: Bucket | Missing | None = None, **values: str) -> Facts:
    """That of snapshots, in a bucket that is called as the one of usage elsewhere."""
    facts = with_values(irsa(), values={**SET, **values}, history=(Revision(1, {**SET, **values}),))
    assert facts.control_plane is not None
    plane = replace(facts.control_plane, conditions={"BackedUp": stored()})
    return replace(facts, subject=BACKUP, control_plane=plane, bucket=bucket)


def _storage(facts: Facts) -> Link:
    return next(link for link in verify(facts) if link.name == "storage")


def test_a_bucket_that_is_there_and_named_holds_without_a_provider() -> None:
    assert _storage(_chain(Bucket("usage", "us-west-2"))).state is State.HELD


@pytest.mark.parametrize(
    ("bucket", "values", "reason", "fix"),
    [
        (None, {"backup.storage.aws.bucket": ""}, Reason.STORAGE_NOT_NAMED, ""),
        (
            None,
            {"backup.storage.aws.bucket": "s3://usage/x"},
            Reason.STORAGE_NOT_NAMED,
            "backup.storage.aws.bucket=usage",
        ),
        (Missing("usage", ()), {}, Reason.BUCKET_MISSING, "aws s3api create-bucket --bucket usage --region us-west-2"),
        (Missing("usage", ("usages",)), {}, Reason.BUCKET_MISSING, "backup.storage.aws.bucket=usages"),
        (Bucket("usage", "eu-west-1"), {}, Reason.BUCKET_ELSEWHERE, "backup.storage.aws.region=eu-west-1"),
    ],
)
def test_a_bucket_in_which_nothing_can_be_stored_is_told_with_what_mends_it(bucket, values, reason, fix: str) -> None:
    link = _storage(_chain(bucket, **values))
    assert (link.state, link.reason) == (State.BROKEN, reason)
    assert fix in link.fix
    assert bool(link.fix) is bool(fix)
    assert "provider" not in link.found + link.fix + link.advice


@pytest.mark.parametrize("chain", [irsa, pod_identity])
def test_a_paused_control_plane_is_not_broken(chain) -> None:
    facts = chain()
    assert held(verify(facts))
    without = with_workload(facts, deployed=False, pods=())
    assert not held(verify(without))
    plane = replace(without.control_plane, conditions={**without.control_plane.conditions, "Ready": PAUSED})
    paused = replace(without, control_plane=plane)
    links = verify(paused)
    assert held(links)
    assert next(link for link in links if link.name == "workload").found == PAUSED.message


def test_what_is_broken_besides_is_told_of_a_paused_one_too() -> None:
    facts = with_workload(irsa(), deployed=False, pods=(), annotations={})
    plane = replace(facts.control_plane, conditions={**facts.control_plane.conditions, "Ready": PAUSED})
    assert not held(verify(replace(facts, control_plane=plane)))
