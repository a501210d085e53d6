"""Tokens of pods that are gone: taken as AWS takes them (facts/identity.md#sts), unless revocation was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from keyless.local.cloud import Cloud
from unit.local.cloud.support import ISSUER, World, irsa_trust, pod_token, refusal, signing_key

OTHER = "https://oidc.example/other"


@pytest.fixture
def space(world: World) -> World:
    """A role, and a provider for each of two issuers; the cluster knows no token."""
    iam = world.aws("iam")
    for issuer in (ISSUER, OTHER):
        world.issuers.publish(issuer, signing_key())
        iam.create_open_id_connect_provider(Url=issuer, ClientIDList=["sts.amazonaws.com"])
    iam.create_role(RoleName="billing", AssumeRolePolicyDocument=irsa_trust())
    return world


def revoking(world: World) -> World:
    """The same state, started with the option."""
    world.cloud = Cloud(replace(world.cloud.settings, revoke_tokens_of_deleted_pods=True), fetch=world.issuers)
    return world


def assume(world: World, token: str) -> Any:
    return world.aws("sts", False).assume_role_with_web_identity(
        RoleArn="arn:aws:iam::111122223333:role/billing", RoleSessionName="pod", WebIdentityToken=token
    )


def test_s13_a_token_stays_usable_after_its_pod_is_deleted(space: World) -> None:
    assert assume(space, pod_token(space))["Credentials"]


def test_with_revocation_a_token_that_the_cluster_disowns_is_refused(space: World) -> None:
    token = pod_token(space)
    code, message, status = refusal(assume, world=revoking(space), token=token)
    assert (code, status) == ("InvalidIdentityToken", 400)
    assert message.startswith("The web identity token provided could not be validated.")
    assert space.audit()[-1]["notes"]["refused"] == "revoked: invalid bearer token"


def test_with_revocation_a_living_pods_token_is_taken(space: World) -> None:
    token = pod_token(space)
    space.kube.reviews[token] = {"authenticated": True, "audiences": ["sts.amazonaws.com"]}
    assert assume(revoking(space), token)["Credentials"]


def test_with_revocation_tokens_of_other_issuers_are_judged_as_before(space: World) -> None:
    code, message, _ = refusal(assume, world=revoking(space), token=pod_token(space, issuer=OTHER))
    assert (code, message) == ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")


def test_with_revocation_a_silent_cluster_is_a_reason_to_try_again(space: World) -> None:
    token = pod_token(space)
    revoking(space).kube.broken = True
    code, message, _ = refusal(assume, world=space, token=token)
    assert code == "IDPCommunicationError"
    assert token not in message
