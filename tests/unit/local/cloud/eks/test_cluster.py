"""The cluster as EKS describes it."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import pytest

from keyless.local.cloud.eks.versions import described
from unit.local.cloud.support import ACCOUNT, ISSUER, SERVER, World, refusal


def test_the_cluster_has_what_kubeconfigs_and_eksctl_need(world: World) -> None:
    cluster = world.aws("eks").describe_cluster(name="keyless")["cluster"]
    assert cluster["arn"] == f"arn:aws:eks:us-west-2:{ACCOUNT}:cluster/keyless"
    assert (cluster["status"], cluster["version"]) == ("ACTIVE", "1.32")
    assert cluster["endpoint"] == SERVER
    assert cluster["identity"]["oidc"]["issuer"] == ISSUER
    assert base64.b64decode(cluster["certificateAuthority"]["data"]) == b""


def test_another_name_or_region_has_no_cluster(world: World) -> None:
    code, message, status = refusal(world.aws("eks").describe_cluster, name="other")
    assert (code, message, status) == ("ResourceNotFoundException", "No cluster found for name: other.", 404)
    elsewhere = world.aws("eks", region="eu-west-1")
    assert refusal(elsewhere.describe_cluster, name="keyless")[0] == "ResourceNotFoundException"
    assert elsewhere.list_clusters()["clusters"] == []


def test_an_operation_that_is_not_here_is_unknown(world: World) -> None:
    assert refusal(world.aws("eks").list_eks_anywhere_subscriptions)[0] == "UnknownOperationException"


#: what AWS's calendar says: version → (released, end of standard support, end of extended support)
CALENDAR = {
    "1.30": ("2024-05-23", "2025-07-23", "2026-07-23"),
    "1.31": ("2024-09-26", "2025-11-26", "2026-11-26"),
    "1.32": ("2025-01-23", "2026-03-23", "2027-03-23"),
    "1.33": ("2025-05-29", "2026-07-29", "2027-07-29"),
    "1.34": ("2025-10-02", "2026-12-02", "2027-12-02"),
    "1.35": ("2026-01-27", "2027-03-27", "2028-03-27"),
}
DATES = ("releaseDate", "endOfStandardSupportDate", "endOfExtendedSupportDate")


def test_all_versions_that_eks_has_are_listed_with_their_support(world: World) -> None:
    found = world.aws("eks").describe_cluster_versions()["clusterVersions"]
    listed = {one["clusterVersion"]: tuple(one[name].strftime("%Y-%m-%d") for name in DATES) for one in found}
    assert listed == CALENDAR
    assert [one["clusterVersion"] for one in found if one["defaultVersion"]] == ["1.35"]
    assert {one["clusterType"] for one in found} == {"eks"}


@pytest.mark.parametrize("version", CALENDAR)
def test_support_ends_on_the_day_that_is_listed(version: str) -> None:
    released, standard, extended = (datetime.fromisoformat(f"{day}T00:00:00Z").timestamp() for day in CALENDAR[version])
    for now, status in (
        (released, "STANDARD_SUPPORT"),
        (standard - 1, "STANDARD_SUPPORT"),
        (standard, "EXTENDED_SUPPORT"),
        (extended - 1, "EXTENDED_SUPPORT"),
        (extended, "UNSUPPORTED"),
    ):
        (found,) = described({"clusterVersions": [version]}, now)
        assert (found["versionStatus"], found["status"]) == (status, status.lower().replace("_", "-"))
        assert described({"versionStatus": status, "clusterVersions": [version]}, now) == [found]
        assert described({"versionStatus": "none", "clusterVersions": [version]}, now) == []


def test_versions_are_asked_for_by_number_default_and_page(world: World) -> None:
    eks = world.aws("eks")
    asked = eks.describe_cluster_versions(clusterVersions=["1.32", "9.9"])["clusterVersions"]
    assert [one["clusterVersion"] for one in asked] == ["1.32"]
    default = eks.describe_cluster_versions(defaultOnly=True)["clusterVersions"]
    assert [one["defaultVersion"] for one in default] == [True]
    pages = eks.get_paginator("describe_cluster_versions").paginate(PaginationConfig={"PageSize": 4})
    assert len([one for page in pages for one in page["clusterVersions"]]) == len(CALENDAR)


@pytest.mark.parametrize(
    ("operation", "member"),
    [
        ("list_nodegroups", "nodegroups"),
        ("list_fargate_profiles", "fargateProfileNames"),
        ("list_identity_provider_configs", "identityProviderConfigs"),
        ("list_insights", "insights"),
    ],
)
def test_what_a_cluster_here_never_has_is_an_empty_list(world: World, operation: str, member: str) -> None:
    eks = world.aws("eks")
    assert getattr(eks, operation)(clusterName="keyless")[member] == []
    assert refusal(getattr(eks, operation), clusterName="other") == (
        "ResourceNotFoundException",
        "No cluster found for name: other.",
        404,
    )


def test_a_cluster_without_updates_has_an_empty_list_of_them(world: World) -> None:
    assert world.aws("eks").list_updates(name="keyless")["updateIds"] == []
    assert refusal(world.aws("eks").list_updates, name="other")[0] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("describe_nodegroup", {"nodegroupName": "sample"}),
        ("describe_fargate_profile", {"fargateProfileName": "sample"}),
        ("describe_identity_provider_config", {"identityProviderConfig": {"type": "oidc", "name": "sample"}}),
        ("describe_insight", {"id": "sample"}),
    ],
)
def test_what_a_cluster_here_never_has_is_not_found(world: World, operation: str, params: dict[str, Any]) -> None:
    code, message, status = refusal(getattr(world.aws("eks"), operation), clusterName="keyless", **params)
    assert (code, status) == ("ResourceNotFoundException", 404)
    assert message.endswith(": sample.")
