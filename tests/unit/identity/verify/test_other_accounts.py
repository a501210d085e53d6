"""A bucket of one account and a role of another: both sides must allow, and each account shows only its own."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest

from keyless.api import Reason
from keyless.identity.verify import Facts, State
from keyless.identity.verify.model import ANNOTATION, ANOTHER, Bucket, Unread, Workload
from keyless.policy import Named, Unreadable, admits_all, parse
from unit.identity.verify.chains import ACCOUNT, irsa, named

ROLE = "arn:aws:iam::999988887777:role/billing"
NEEDED = "arn:aws:s3:::usage/account=a/*"
KEPT = {
    "Sid": "Kept",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:DeleteBucket",
    "Resource": "arn:aws:s3:::usage",
}
GRANT = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "s3:PutObject", "Resource": NEEDED}
GUARD = {"Sid": "Guard", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::usage/*"}


def chain(*statements: dict[str, Any]) -> Facts:
    """As the owner of the bucket sees it: the role is of another account, and its policies are not shown."""
    written = {"Version": "2012-10-17", "Statement": list(statements)} if statements else None
    policy = Named("policy of bucket usage", parse(written, "resource")) if written else None
    facts = irsa()
    assert facts.workload is not None
    return replace(
        facts,
        workload=Workload({ANNOTATION: ROLE}, True, facts.workload.pods),
        role=Unread(f"is of account 999988887777; these credentials are of {ACCOUNT}"),
        bucket=Bucket("usage", "us-west-2", policy, written, ACCOUNT),
    )


@pytest.mark.parametrize("statements", [(), (KEPT,), (KEPT, {**GRANT, "Action": "s3:GetObject"})])
def test_the_grant_that_the_bucket_lacks_is_added_to_what_is_there(statements: tuple[dict[str, Any], ...]) -> None:
    link = named(chain(*statements), "permission")
    assert (link.state, link.reason) == (State.BROKEN, Reason.PERMISSION_MISSING)
    words = shlex.split(link.fix)
    assert words[:5] == ["aws", "s3api", "put-bucket-policy", "--bucket", "usage"]
    after = json.loads(words[-1])
    assert after["Statement"][:-1] == list(statements)
    assert after["Statement"][-1] == {**GRANT, "Action": ["s3:PutObject"], "Resource": [NEEDED]}
    assert link.diff
    mended = named(chain(*after["Statement"]), "permission")
    assert (mended.state, mended.fix) == (State.UNKNOWN, "")
    if statements:
        before = parse({"Version": "2012-10-17", "Statement": list(statements)}, "resource")
        assert admits_all(parse(after, "resource"), before)


def test_a_deny_of_the_bucket_gets_no_command() -> None:
    link = named(chain(GRANT, GUARD), "permission")
    assert (link.reason, link.fix) == (Reason.PERMISSION_DENIED_EXPLICITLY, "")
    assert "(Guard)" in link.advice


@pytest.mark.parametrize(
    "bucket",
    [
        Bucket("usage", "us-west-2", Unreadable("policy", "no"), owner=ACCOUNT),
        Bucket("usage", "us-west-2", Unreadable("policy", "no"), owner=ANOTHER),
        Bucket("usage", "us-west-2"),
        Unread("no"),
    ],
)
def test_what_was_not_seen_gets_no_command(bucket: Any) -> None:
    link = named(replace(chain(), bucket=bucket), "permission")
    assert (link.state, link.fix) == (State.UNKNOWN, "")


def test_a_bucket_of_another_account_needs_its_owner_to_allow_and_is_not_called_allowed() -> None:
    facts = replace(irsa(), bucket=Bucket("usage", "", None, owner=ANOTHER))
    link = named(facts, "permission")
    assert link.state is State.BROKEN
    unread = replace(irsa(), bucket=Bucket("usage", "", Unreadable("policy", "another account's"), owner=ANOTHER))
    assert named(unread, "permission").state is State.UNKNOWN
