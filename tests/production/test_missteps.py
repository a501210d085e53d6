"""The missteps of the billing guide's table on a real Kubernetes: refused, named, and mended by undoing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from production.beside import Beside
from production.billed import PUT, ROLE, STS, Billed
from production.node import OneNode

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
MINE = f":assumed-role/{ROLE}/"


@pytest.fixture
def billed(space: OneNode, cloud: Beside, host_namespace: str) -> Billed:
    """A reader before the first step of the guide."""
    found = Billed(space, cloud, "ctp1", host_namespace)
    found.start()
    return found


@dataclass(frozen=True, slots=True)
class Misstep:
    """What is done wrongly in IAM, what AWS says, what ``verify`` names, and what mends it."""

    wrong: Callable[[Billed], None]
    says: str
    link: str
    reason: str
    right: Callable[[Billed], None]


def trusted(**other: str) -> Callable[[Billed], None]:
    return lambda billed: billed.trust(billed.irsa(**other))


IN_IAM = {
    "no OIDC provider": Misstep(
        lambda billed: billed.provider(None),
        "No OpenIDConnect provider found", "OIDC provider", "OIDCProviderMissing", lambda billed: billed.provider(STS),
    ),
    "a provider without the client id": Misstep(
        lambda billed: billed.provider("vault.example.org"),
        "The web identity token provided could not be validated",
        "audience", "AudienceNotRegistered", lambda billed: billed.provider(STS),
    ),
    "a trust policy for another namespace": Misstep(
        trusted(namespace="upbound-system"), "AccessDenied", "trust", "TrustNamesAnotherNamespace", trusted()
    ),
    "a trust policy for another service account": Misstep(
        trusted(account="default"), "AccessDenied", "trust", "TrustNamesAnotherServiceAccount", trusted()
    ),
    "a trust policy for another audience": Misstep(
        trusted(audience="vault.example.org"), "AccessDenied", "trust", "TrustNamesAnotherAudience", trusted()
    ),
    "a wildcard that StringEquals takes literally": Misstep(
        trusted(namespace="mxp-*-system"), "AccessDenied", "trust", "TrustOperatorLiteral", trusted()
    ),
    "a role without s3:PutObject": Misstep(
        lambda billed: billed.permit("s3:GetObject"),
        "not authorized to perform: s3:PutObject", "permission", "PermissionMissing",
        lambda billed: billed.permit(*PUT),
    ),
}  # fmt: skip


@pytest.mark.parametrize("misstep", IN_IAM.values(), ids=IN_IAM)
def test_a_misstep_in_iam_is_refused_and_named_and_mended(billed: Billed, misstep: Misstep) -> None:
    billed.provider(STS)
    billed.trust(billed.irsa())
    misstep.wrong(billed)
    billed.install()
    billed.restart()
    billed.told("False", misstep.says)
    assert billed.broken() == (misstep.link, misstep.reason)
    misstep.right(billed)
    # The collector tries again by itself, each time later; a reader does not wait for that.
    billed.restart()
    billed.told("True", MINE)
    assert billed.verify()[0] == 0


def test_static_keys_left_on_keep_the_pod_waiting(billed: Billed) -> None:
    billed.provider(STS)
    billed.trust(billed.irsa())
    billed.install(static=True)
    billed.waiting("CreateContainerConfigError")
    assert billed.broken() == ("no static keys", "StaticKeysSet")
    billed.install()
    billed.told("True", MINE)


def test_an_annotation_reaches_no_pod_that_runs_already(billed: Billed) -> None:
    billed.provider(STS)
    billed.trust(billed.irsa())
    billed.install(annotated=False)
    billed.restart()
    # As on EC2: without an identity of its own the pod is the node.
    billed.told("False", ":assumed-role/keyless-node/")
    # The release's history is read: where a revision before had the role, an upgrade has dropped it.
    link, reason = billed.broken()
    assert link == "service account"
    assert reason in {"RoleNotNamed", "HelmValuesDropped"}
    billed.install()
    assert billed.broken() == ("injection", "PodNotRestarted")
    billed.restart()
    billed.told("True", MINE)


def test_an_association_elsewhere_and_one_without_tag_session_and_no_agent(billed: Billed) -> None:
    billed.trust(billed.pods())
    billed.associate(f"not-{billed.namespace}")
    billed.install(annotated=False)
    billed.restart()
    billed.told("False", ":assumed-role/keyless-node/")
    assert billed.broken() == ("service account", "AssociationElsewhere")
    billed.associate(billed.namespace)
    billed.trust(billed.pods("sts:AssumeRole"))
    billed.restart()
    billed.told("False", "AccessDeniedException")
    assert billed.broken() == ("trust", "TagSessionNotTrusted")
    billed.trust(billed.pods())
    billed.agent(present=False)
    try:
        billed.restart()
        billed.told("False", "CredentialRetrieval")
        assert billed.broken() == ("agent", "AgentMissing")
    finally:
        billed.agent(present=True)
    billed.restart()
    billed.told("True", MINE)
