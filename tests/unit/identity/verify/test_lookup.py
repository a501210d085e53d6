"""Whether a resource is there: said to be missing only where that is certain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from keyless.api import Reason
from keyless.aws import Session
from keyless.identity.verify import State, verify
from keyless.identity.verify.lookup import missing
from keyless.identity.verify.model import Association, Missing
from unit.identity.verify.chains import ACCOUNT, NAMESPACE, ROLE, broken, named, pod_identity
from unit.identity.verify.test_gather import FakeAws, failed

SECRET = f"arn:aws:secretsmanager:us-west-2:{ACCOUNT}:secret:"
PARAMETER = f"arn:aws:ssm:us-west-2:{ACCOUNT}:parameter/"
THERE = ("payments/db", "db-master")
NEAR = {"SecretList": [{"Name": name} for name in THERE]}


def described(params: dict[str, Any]) -> Any:
    if params["SecretId"] in THERE:
        return {"Name": params["SecretId"], "ARN": f"{SECRET}{params['SecretId']}-AbCdEf"}
    raise failed("DescribeSecret", "ResourceNotFoundException")


def parameters(params: dict[str, Any]) -> Any:
    names = [name for each in params.get("ParameterFilters", ()) for name in each["Values"]] or ["/payments/db"]
    return {"Parameters": [{"Name": name} for name in names if name == "/payments/db"]}


AWS = {
    "GetCallerIdentity": {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/admin", "UserId": "AIDA"},
    "DescribeSecret": described,
    "ListSecrets": NEAR,
    "DescribeParameters": parameters,
    "HeadBucket": "404",
    "ListBuckets": {"Buckets": [{"Name": "usage"}]},
}


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        (f"{SECRET}payments/db-AbCdEf", None),
        (f"{SECRET}payments/db-??????", None),
        (f"{SECRET}payments/db", None),
        (f"{SECRET}db-master", None),  # no suffix, though it looks like one
        (f"{SECRET}payments/dv-AbCdEf", Missing("payments/dv", ("payments/db",))),
        (f"{SECRET}payments/dv-??????", Missing("payments/dv", ("payments/db",))),
        (f"{SECRET}elsewhere", Missing("elsewhere")),
        # Made anew under its name it has another ARN; so has the one of another region.
        (f"{SECRET}payments/db-XyZxyZ", Missing("payments/db", (f"{SECRET}payments/db-AbCdEf",))),
        (f"{SECRET}payments/db-AbCdEf".replace("us-", "eu-"), Missing("payments/db", (f"{SECRET}payments/db-AbCdEf",))),
        # Whatever stands in another account, names of ours tell nothing of it.
        (f"{SECRET}elsewhere".replace(ACCOUNT, "999988887777"), None),
        (f"{SECRET}payments/db-AbCdEf".replace(ACCOUNT, "999988887777"), None),
        (f"{PARAMETER}payments/dv".replace(ACCOUNT, "999988887777"), None),
        (f"{SECRET}payments/*", None),
        (f"{PARAMETER}payments/db", None),
        (f"{PARAMETER}payments/dv", Missing("payments/dv", ("/payments/db",))),
        ("arn:aws:s3:::usag/a", Missing("usag", ("usage",))),
        ("arn:aws:sqs:us-west-2:111122223333:queue", None),
        ("*", None),
    ],
)
async def test_what_is_certainly_not_there_is_missing_and_nothing_else(resource: str, found: Missing | None) -> None:
    assert await missing(cast("Session", FakeAws(dict(AWS))), resource) == found


@pytest.mark.parametrize("resource", [f"{SECRET}x-AbCdEf", f"{PARAMETER}x", "arn:aws:s3:::x/a"])
async def test_what_may_not_be_asked_is_not_called_missing(resource: str) -> None:
    assert await missing(cast("Session", FakeAws({})), resource) is None


async def test_a_missing_secret_has_no_near_names_where_they_may_not_be_listed() -> None:
    aws = FakeAws({**AWS, "ListSecrets": "AccessDenied"})
    assert await missing(cast("Session", aws), f"{SECRET}payments/dv-AbCdEf") == Missing("payments/dv")


def test_a_shared_secret_that_is_not_there_is_told_with_its_near_names() -> None:
    link = broken(replace(pod_identity(), gone=(Missing("payments/dv", ("payments/db",)), Missing("x"))))
    assert (link.name, link.reason, link.fix) == ("sources", Reason.RESOURCE_MISSING, "")
    assert link.found == "there is no payments/dv (there is payments/db); no x"


def test_an_association_for_a_misspelt_account_is_named_and_one_made_for_the_right_one() -> None:
    facts = replace(
        pod_identity(), associations=(), misspelt=(Association("a-9", NAMESPACE, "vectr", ROLE),), role=None
    )
    link = named(facts, "service account")
    assert (link.state, link.reason) == (State.BROKEN, Reason.ASSOCIATION_ELSEWHERE)
    assert "association a-9 is for service account vectr, not for vector" in link.found
    assert f"--namespace {NAMESPACE} --service-account vector --role-arn {ROLE} && kubectl rollout restart" in link.fix
    assert next(one.name for one in verify(facts) if one.state is State.BROKEN) == "service account"
