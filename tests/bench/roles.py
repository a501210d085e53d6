"""An account of 10,000 roles, a policy in each: no call may keep a person waiting, nor may the start."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from keyless.local.cloud.database import Database
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import Role
from keyless.local.cloud.sessions import new_id
from keyless.local.state import State
from tests.bench import grants
from tests.bench.cloud_server import ISSUER
from tests.bench.ours import Place, our_cloud
from tests.bench.row import Row
from tests.bench.sts import ACCOUNT, HOST

#: some are left to create: an account may have 10,000
ROLES = 9_900
CALLS = 20
#: what a person takes for at once
PATIENCE_MS = 100.0


def bench() -> Iterator[Row]:
    """Calls as a botocore client waits for them, each role met for the first time; and the start."""
    began = 0.0

    def fill(folder: Path) -> None:
        nonlocal began
        _fill(folder)
        began = time.perf_counter()

    with our_cloud(fill) as place:
        start = time.perf_counter() - began
        for name, call in _calls(place).items():
            waits = sorted(_milliseconds(call, number) for number in range(CALLS))
            shown = f"median {statistics.median(waits):.1f} ms, slowest {waits[-1]:.0f} ms"
            aim = f"slowest ≤ {PATIENCE_MS:.0f} ms"
            yield Row("roles", f"{name}, 10,000 roles", shown, "", aim, waits[-1] <= PATIENCE_MS)
    began = time.perf_counter()
    with our_cloud():
        empty = time.perf_counter() - began
    yield Row("roles", "start of the cloud with 10,000 roles", f"{start:.2f} s (without: {empty:.2f} s)", "", "", None)
    yield from grants.bench()


def _milliseconds(call: Callable[[int], object], number: int) -> float:
    begin = time.perf_counter()
    call(number)
    return (time.perf_counter() - begin) * 1e3


def _calls(place: Place) -> dict[str, Callable[[int], object]]:
    iam, sts, s3 = place.aws("iam"), place.aws("sts"), place.aws("s3")
    iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com"])
    s3.create_bucket(Bucket="bench", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_object(Bucket="bench", Key="key", Body=b"found")
    sessions = [_session(place, sts, number) for number in range(1000, 1000 + CALLS)]
    iam.get_role(RoleName="role-0")

    def assume(number: int) -> Any:
        arn = f"arn:aws:iam::{ACCOUNT}:role/role-{number}"
        return sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="bench", WebIdentityToken=place.token)

    return {
        "CreateRole": lambda n: iam.create_role(RoleName=f"new-{n}", AssumeRolePolicyDocument=_trust(n)),
        "PutRolePolicy": lambda n: iam.put_role_policy(RoleName=f"role-{n}", PolicyName="q", PolicyDocument=_policy(n)),
        "GetRole": lambda n: iam.get_role(RoleName=f"role-{n * 400}"),
        "ListRoles, a page": lambda _: iam.list_roles(),
        "AssumeRoleWithWebIdentity": lambda n: assume(n * 300),
        "GetObject as one of them": lambda n: sessions[n].get_object(Bucket="bench", Key="key"),
    }


def _session(place: Place, sts: Any, number: int) -> Any:
    """A client of S3 with a role's credentials."""
    arn = f"arn:aws:iam::{ACCOUNT}:role/role-{number}"
    made = sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="bench", WebIdentityToken=place.token)
    found = made["Credentials"]
    return Place(place.url, found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]).aws("s3")


def _fill(folder: Path) -> None:
    """Write the roles as IAM does, in one transaction."""
    with closing(State.open(folder)) as state:
        database = Database(state.database, state.migrate)
        directory = Directory(database, account=ACCOUNT, propagation_delay_seconds=0.0, now=time.time)
        with database.transaction():
            for number in range(ROLES):
                name = f"role-{number}"
                directory.save(
                    Role(
                        name=name,
                        id=new_id("AROA"),
                        arn=f"arn:aws:iam::{ACCOUNT}:role/{name}",
                        path="/",
                        created_at=time.time(),
                        trust=_trust(number),
                        inline={"p": _policy(number)},
                    )
                )


def _trust(number: int) -> str:
    subjects = ["system:serviceaccount:mxp-1-system:vector", f"system:serviceaccount:other:{number}"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{HOST}:aud": "sts.amazonaws.com", f"{HOST}:sub": subjects}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _policy(number: int) -> str:
    resources = ["arn:aws:s3:::bench/*", f"arn:aws:s3:::other-{number}/*"]
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": resources}]}
    )
