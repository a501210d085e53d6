"""What becomes of a control plane that is deleted: its usage goes first, then its identity, and not its sessions."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from e2e import acting, seeing
from e2e.local_space import Keys, LocalSpace
from e2e.planes import Plane, add_vpcs, delete_plane
from e2e.usage import stored
from keyless.kube import Kube, NotFound
from keyless.kube.resources import LOGICALCLUSTERS, NAMESPACES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


async def test_a_deleted_control_plane_stores_its_usage_and_gets_no_new_sessions_while_live_ones_last(
    space: LocalSpace, host: Kube, plane: Plane
) -> None:
    acting.make_provider(space)
    acting.make_role(space, plane.role, acting.irsa_trust(space, plane.subject), acting.bucket_policy(plane.bucket))
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket, plane.role))
    await seeing.condition(host, plane.name, "BillingStored", "True", containing=f":assumed-role/{plane.role}/")
    live = await session_of_the_collector(space, host, plane)
    await add_vpcs(plane, "counted-at-the-last-moment")

    await delete_plane(host, plane)

    seen = stored(space, plane.bucket, plane.namespace)
    seen.check_nothing_is_missing()
    assert 4 in seen.counts
    with pytest.raises(NotFound):
        await session_of_the_collector(space, host, plane)
    for res in (NAMESPACES, LOGICALCLUSTERS):
        with pytest.raises(NotFound):
            await host.get(res, plane.namespace)
    s3 = space.aws("s3", live)
    s3.put_object(Bucket=plane.bucket, Key="by-a-live-session", Body=b"")

    end_sessions_until(space, plane.role, datetime.now(UTC))

    with pytest.raises(ClientError, match="with an explicit deny in an identity-based policy"):
        s3.put_object(Bucket=plane.bucket, Key="after-the-deny", Body=b"")


async def session_of_the_collector(space: LocalSpace, host: Kube, plane: Plane) -> Keys:
    """What the collector does by itself: a token for its service account, exchanged at STS."""
    token = await host.token("vector", plane.namespace, audiences=[acting.STS], expiration_seconds=3600)
    given = space.aws("sts", signed=False).assume_role_with_web_identity(
        RoleArn=acting.role_arn(space, plane.role), RoleSessionName="live", WebIdentityToken=token.token
    )["Credentials"]
    return Keys(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def end_sessions_until(space: LocalSpace, role: str, moment: datetime) -> None:
    """The statement that AWS's console writes: with milliseconds, for a session may be issued in this very second."""
    until = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    statement = {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": until}},
    }
    document = json.dumps({"Version": acting.VERSION, "Statement": [statement]})
    space.aws("iam").put_role_policy(RoleName=role, PolicyName="end-sessions", PolicyDocument=document)
