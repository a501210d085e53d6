"""The missteps of the guides' readers: what they see, what ``keyless verify`` names, and that mending is enough."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from e2e import acting, seeing, sharing
from e2e.leaks import PLANTED
from e2e.local_space import LocalSpace
from e2e.planes import Plane, add_vpcs, delete_plane
from e2e.usage import stored
from keyless.kube import Kube

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

REFUSED = "not authorized to perform: s3:PutObject"


async def billing(space: LocalSpace, host: Kube, plane: Plane, *, trust: acting.Object | None = None) -> None:
    """The billing guide by IRSA, up to where its reader looks whether it works."""
    trust = trust or acting.irsa_trust(space, plane.subject)
    acting.make_role(space, plane.role, trust, acting.bucket_policy(plane.bucket))
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket, plane.role))


async def refused(host: Kube, plane: Plane, code: str, *, containing: str = "") -> str:
    """The collector runs, and says on the ControlPlane what AWS told it; its message."""
    seen = await seeing.condition(host, plane.name, "BillingStored", "False", containing=containing)
    assert seen["reason"] == code, seen
    await seeing.rolled_out(host, "vector", plane.namespace)
    message: str = seen["message"]
    return message


def broken(space: LocalSpace, plane: Plane, link: str, component: str = "billing") -> dict[str, Any]:
    """The link of this name, which must be the first that ``verify`` calls broken."""
    chain = space.verify(component, plane.name)
    first = next(found for found in chain["links"] if found["state"] == "Broken")
    assert first["name"] == link, first
    # Where more than one role would do, nobody can choose for the person: then it is said in words.
    assert first["fix"] or first["advice"]
    return first


async def everything_flows(space: LocalSpace, host: Kube, plane: Plane) -> None:
    """Usage is stored by the role, the whole chain holds, and nothing of what was counted meanwhile is missing."""
    await seeing.condition(host, plane.name, "BillingStored", "True", containing=f":assumed-role/{plane.role}/")
    chain = space.verify("billing", plane.name)
    broken = [f"{link['name']}: {link.get('found')}" for link in chain["links"] if link["state"] != "Held"]
    assert chain["held"], "\n".join(broken)
    await delete_plane(host, plane)
    seen = stored(space, plane.bucket, plane.namespace)
    seen.check_nothing_is_missing()
    assert {3, 4} <= seen.counts


async def test_without_an_oidc_provider_sts_knows_no_issuer(space: LocalSpace, host: Kube, plane: Plane) -> None:
    acting.drop_provider(space)
    await billing(space, host, plane)
    message = await refused(host, plane, "InvalidIdentityToken")
    assert "No OpenIDConnect provider found in your account" in message
    assert broken(space, plane, "OIDC provider")["reason"] == "OIDCProviderMissing"
    await add_vpcs(plane, "while-refused")

    acting.make_provider(space)

    await everything_flows(space, host, plane)


async def test_a_provider_without_the_client_id_does_not_take_the_token(
    space: LocalSpace, host: Kube, plane: Plane
) -> None:
    acting.make_provider(space)
    arn = acting.provider_arn(space)
    space.aws("iam").remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID=acting.STS)
    await billing(space, host, plane)
    await refused(host, plane, "InvalidIdentityToken")
    assert broken(space, plane, "audience")["reason"] == "AudienceNotRegistered"
    await add_vpcs(plane, "while-refused")

    acting.make_provider(space)

    await everything_flows(space, host, plane)


def another_namespace(space: LocalSpace, _: Plane) -> acting.Object:
    return acting.irsa_trust(space, acting.subject("upbound-system"))


def another_account(space: LocalSpace, plane: Plane) -> acting.Object:
    return acting.irsa_trust(space, acting.subject(plane.namespace, "default"))


def another_audience(space: LocalSpace, plane: Plane) -> acting.Object:
    return acting.irsa_trust(space, plane.subject, audience="vault.example.org")


def a_wildcard_that_is_none(space: LocalSpace, _: Plane) -> acting.Object:
    return acting.irsa_trust(space, acting.subject("mxp-*-system"))


@pytest.mark.parametrize(
    ("misstep", "reason"),
    [
        (another_namespace, "TrustNamesAnotherNamespace"),
        (another_account, "TrustNamesAnotherServiceAccount"),
        (another_audience, "TrustNamesAnotherAudience"),
        (a_wildcard_that_is_none, "TrustOperatorLiteral"),
    ],
)
async def test_a_trust_policy_for_somebody_else_is_refused_in_one_sentence(
    space: LocalSpace, host: Kube, plane: Plane, *, misstep: Any, reason: str
) -> None:
    acting.make_provider(space)
    await billing(space, host, plane, trust=misstep(space, plane))
    message = await refused(host, plane, "AccessDenied")
    assert "Not authorized to perform sts:AssumeRoleWithWebIdentity" in message
    assert broken(space, plane, "trust")["reason"] == reason
    await add_vpcs(plane, "while-refused")

    acting.trust(space, plane.role, acting.irsa_trust(space, plane.subject))

    await everything_flows(space, host, plane)


async def test_a_control_plane_that_came_after_an_exact_trust_policy_is_refused_alone(
    space: LocalSpace, host: Kube, plane: Plane
) -> None:
    acting.make_provider(space)
    older = (await seeing.ready(host, "ctp1"))["status"]["hostNamespace"]
    await billing(space, host, plane, trust=acting.irsa_trust(space, acting.subject(older)))
    await refused(host, plane, "AccessDenied")
    await seeing.condition(host, "ctp1", "BillingStored", "True", containing=f":assumed-role/{plane.role}/")
    assert broken(space, plane, "trust")["reason"] == "ControlPlaneNotTrusted"
    await add_vpcs(plane, "while-refused")

    acting.trust(space, plane.role, acting.irsa_trust(space, acting.subject(older), plane.subject))

    await everything_flows(space, host, plane)


async def test_a_role_without_the_permission_is_refused_by_s3(space: LocalSpace, host: Kube, plane: Plane) -> None:
    acting.make_provider(space)
    reading = acting.bucket_policy(plane.bucket, "s3:GetObject", "s3:ListBucket")
    acting.make_role(space, plane.role, acting.irsa_trust(space, plane.subject), reading)
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket, plane.role))
    message = await refused(host, plane, "AccessDenied")
    assert f":assumed-role/{plane.role}/" in message
    assert REFUSED in message
    link = broken(space, plane, "permission")
    assert link["reason"] == "PermissionMissing"
    assert "s3:PutObject" in link["found"]
    await add_vpcs(plane, "while-refused")

    acting.permit(space, plane.role, acting.bucket_policy(plane.bucket))

    await everything_flows(space, host, plane)


async def test_static_keys_left_on_keep_the_pod_waiting_for_their_secret(
    space: LocalSpace, host: Kube, plane: Plane
) -> None:
    acting.make_provider(space)
    acting.make_role(space, plane.role, acting.irsa_trust(space, plane.subject), acting.bucket_policy(plane.bucket))
    values = acting.billing_values(space, plane.bucket, plane.role)
    await acting.helm_upgrade(host, {path: value for path, value in values.items() if path != acting.STATIC_KEYS})
    await seeing.pod(
        host, "vector", plane.namespace, lambda pod: seeing.waiting_reason(pod) == "CreateContainerConfigError"
    )
    assert broken(space, plane, "no static keys")["reason"] == "StaticKeysSet"

    await acting.helm_upgrade(host, values)
    await add_vpcs(plane, "afterwards")

    await seeing.condition(host, plane.name, "BillingStored", "True", containing=f":assumed-role/{plane.role}/")
    assert space.verify("billing", plane.name)["held"]


async def annotated_too_late(space: LocalSpace, host: Kube, plane: Plane, *, volume: bool) -> None:
    """Billing runs as the node; then the annotation arrives, and nobody restarts the pod."""
    acting.make_provider(space)
    acting.make_role(space, plane.role, acting.irsa_trust(space, plane.subject), acting.bucket_policy(plane.bucket))
    await acting.helm_upgrade(host, {**acting.billing_values(space, plane.bucket), acting.VOLUME: volume})
    message = await refused(host, plane, "AccessDenied", containing="s3:PutObject")
    assert f":assumed-role/{plane.role}/" not in message
    assert broken(space, plane, "service account")["reason"] == "RoleNotNamed"
    await acting.helm_upgrade(host, {**acting.billing_values(space, plane.bucket, plane.role), acting.VOLUME: volume})
    await seeing.annotated(host, "vector", plane.namespace, acting.role_arn(space, plane.role))
    assert broken(space, plane, "injection")["reason"] == "PodNotRestarted"
    await add_vpcs(plane, "while-refused")


async def test_an_annotation_reaches_no_running_pod_and_a_volume_keeps_what_it_counted(
    space: LocalSpace, host: Kube, plane: Plane
) -> None:
    await annotated_too_late(space, host, plane, volume=True)

    await acting.restart(host, "vector", plane.namespace)

    await everything_flows(space, host, plane)


async def test_without_a_volume_a_restart_leaves_a_gap_that_a_manifest_names(
    space: LocalSpace, host: Kube, first_plane: Plane
) -> None:
    plane = first_plane
    await annotated_too_late(space, host, plane, volume=False)
    # A restart within three samples bounds what happened between them: nothing is lost then.
    await seeing.old_enough_for_a_gap(host, plane.name)

    await acting.restart(host, "vector", plane.namespace)

    await seeing.condition(host, plane.name, "BillingStored", "True", containing=f":assumed-role/{plane.role}/")
    (gap,) = stored(space, plane.bucket, plane.namespace).gaps
    assert gap["reason"] == "CollectorStarted"


async def test_an_association_for_another_namespace_leaves_the_pod_to_the_nodes_role(
    space: LocalSpace, host: Kube, plane: Plane
) -> None:
    acting.make_role(space, plane.role, acting.pods_trust(), acting.bucket_policy(plane.bucket))
    acting.associate(space, f"not-{plane.namespace}", "vector", plane.role)
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket))
    message = await refused(host, plane, "AccessDenied", containing="s3:PutObject")
    assert f":assumed-role/{plane.role}/" not in message
    assert broken(space, plane, "service account")["reason"] == "AssociationElsewhere"
    await add_vpcs(plane, "while-refused")

    acting.associate(space, plane.namespace, "vector", plane.role)
    await acting.restart(host, "vector", plane.namespace)

    await everything_flows(space, host, plane)


async def test_without_the_agent_there_are_no_credentials_at_its_address(
    space: LocalSpace, host: Kube, plane: Plane
) -> None:
    acting.make_role(space, plane.role, acting.pods_trust(), acting.bucket_policy(plane.bucket))
    acting.associate(space, plane.namespace, "vector", plane.role)
    await acting.delete_agent(space, host)
    try:
        await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket))
        await refused(host, plane, "CredentialRetrieval")
        assert broken(space, plane, "agent")["reason"] == "AgentMissing"
        await add_vpcs(plane, "while-refused")
    finally:
        await acting.create_agent(space, host)

    await everything_flows(space, host, plane)


async def test_a_trust_policy_without_tag_session_is_refused_at_the_association_and_when_it_comes_later(
    space: LocalSpace, host: Kube, plane: Plane
) -> None:
    acting.make_role(space, plane.role, acting.pods_trust("sts:AssumeRole"), acting.bucket_policy(plane.bucket))
    with pytest.raises(ClientError, match="Trust policy of the role provided is invalid"):
        acting.associate(space, plane.namespace, "vector", plane.role)
    acting.trust(space, plane.role, acting.pods_trust())
    acting.associate(space, plane.namespace, "vector", plane.role)
    acting.trust(space, plane.role, acting.pods_trust("sts:AssumeRole"))
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket))
    await refused(host, plane, "AccessDeniedException")
    assert broken(space, plane, "trust")["reason"] == "TagSessionNotTrusted"
    await add_vpcs(plane, "while-refused")

    acting.trust(space, plane.role, acting.pods_trust())

    await everything_flows(space, host, plane)


async def test_a_secret_that_the_role_may_not_read_keeps_its_cause_in_sight_until_it_may(
    space: LocalSpace, host: Kube, plane: Plane
) -> None:
    sharing.make_secret(space, plane, f"{PLANTED}-for-a-misstep")
    acting.make_role(space, plane.role, acting.pods_trust(), acting.secrets_policy(space, "another-prefix"))
    acting.associate(space, plane.namespace, sharing.CONTROLLER, plane.role)
    await acting.restart(host, "external-secrets", plane.namespace)
    await sharing.share(space, host, plane)
    seen = await sharing.synced(plane, "False")
    assert seen["reason"] == "SecretSyncedError"
    assert "not authorized to perform: secretsmanager:GetSecretValue" in seen["message"]
    # The pod before this one said False, too: that it has the identity of its node.
    told = await seeing.condition(host, plane.name, "SharedSecretsRead", "False", containing="GetSecretValue")
    assert told["reason"] == "AccessDeniedException"
    assert broken(space, plane, "permission", "shared-secrets")["reason"] == "PermissionMissing"

    acting.permit(space, plane.role, acting.secrets_policy(space, plane.own))

    assert set(await sharing.arrived(plane)) == {"password"}
    await seeing.condition(host, plane.name, "SharedSecretsRead", "True", containing=f":assumed-role/{plane.role}/")
    assert space.verify("shared-secrets", plane.name)["held"]
