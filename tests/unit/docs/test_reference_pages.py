"""The pages of ``docs/reference/`` say what the code does: generated parts are current, written lists hold."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest
from botocore.loaders import Loader

from generate import reference
from generate.cloud_operations import services
from keyless.local.cloud.service import Service
from keyless.local.cluster import Cluster, ClusterSettings
from keyless.local.cluster.bodies import decode_yaml
from keyless.local.cluster.builtin.kinds import KINDS
from keyless.local.cluster.controllers.feeds import Feeds
from keyless.local.cluster.status import ApiError
from keyless.local.cluster.store import Change, Entry, Key


def page(name: str) -> str:
    return (reference.FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*reference.PAGES, *reference.PARTS])
def test_a_generated_page_is_current(name: str) -> None:
    assert page(name) == reference.expected(name), "run `make reference`"


@pytest.mark.parametrize("text", ["no markers", reference.BEGIN])
def test_a_page_without_its_markers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        reference.with_part(text, "part")


@pytest.fixture(scope="module")
def by_name() -> dict[str, Service]:
    return {service.name: service for service in services()}


def unserved() -> Iterator[tuple[str, str]]:
    section = page("aws-differences.md").partition("## Not served")[2].partition("\n## ")[0]
    for service, operations in re.findall(r"^\| `([a-z0-9-]+)` \|[^|]*\|([^|]*)\|$", section, re.MULTILINE):
        yield from ((service, operation) for operation in re.findall(r"`(\w+)`", operations))


def test_operations_named_as_not_served_are_aws_s_and_not_served(by_name: dict[str, Service]) -> None:
    named = list(unserved())
    assert len(named) > 20
    for service in {service for service, _ in named}:
        operations = {operation for one, operation in named if one == service}
        assert operations <= set(Loader().load_service_model(service, "service-2")["operations"])
        assert not operations & set(by_name[service].table), "served by now: take it out of aws-differences.md"


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    database = sqlite3.connect(":memory:", isolation_level=None)
    settings = ClusterSettings(
        database=database,
        server_url="https://127.0.0.1:6443",
        admin_token="admin",
        kubelet_token="kubelet",
        ca_pem="",
        now=lambda: datetime(2026, 11, 22, tzinfo=UTC),
    )
    made = Cluster(settings)
    yield made
    await made.aclose()
    database.close()


async def test_parts_of_pods_named_as_refused_answer_403(cluster: Cluster) -> None:
    row = next(line for line in page("kubernetes-differences.md").splitlines() if "is not offered" in line)
    refused = re.findall(r"`pods/(\w+)`", row)
    assert refused == ["exec", "attach", "portforward", "ephemeralcontainers"]
    for part in refused:
        path = f"/api/v1/namespaces/default/pods/p/{part}"
        answer = await cluster.call("keyless", "GET", path)
        assert answer.status == 403
        assert "is not offered by this local cluster" in answer.body["message"]


async def test_openapi_has_every_field_and_no_description_of_built_in_ones(cluster: Cluster) -> None:
    core = await cluster.call("keyless", "GET", "/openapi/v3/api/v1")
    pod = core.body["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]
    assert "containers" in pod["properties"]
    assert not any("description" in field for field in pod["properties"].values())
    ours = await cluster.call("keyless", "GET", "/openapi/v2")
    assert "io.k8s.api.core.v1.PodSpec" in ours.body["definitions"]


def test_yaml_with_aliases_is_refused() -> None:
    with pytest.raises(ApiError, match="aliases are not accepted"):
        decode_yaml(b"metadata: {name: &a x, labels: {b: *a}}")


def test_kinds_named_as_stored_alone_wake_no_controller(cluster: Cluster) -> None:
    row = next(line for line in page("kubernetes-differences.md").splitlines() if "stored and left alone" in line)
    named = re.findall(r"`(\w+)`", row)
    groups = {kind.plural: kind.group for kind in KINDS}
    assert len(named) == 10
    for plural in named:
        key = Key("keyless", groups[plural], plural, "default", "x")
        entry = Entry(key, 1, {"metadata": {"name": "x", "namespace": "default"}}, b"{}")
        assert not list(Feeds(cluster.store).wakes(Change("ADDED", entry, None)))
