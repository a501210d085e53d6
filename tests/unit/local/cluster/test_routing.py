"""Paths taken apart."""

from __future__ import annotations

import pytest

from keyless.local.cluster.routing import Route, cluster_of, route


def found(path: str, method: str = "GET", **params: str) -> tuple[str, ...]:
    way: Route = route(method, path, params)
    return way.verb, way.group, way.version, way.namespace, way.resource, way.name, way.subresource


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        ("/api/v1/pods", "GET", ("list", "", "v1", "", "pods", "", "")),
        ("/api/v1/namespaces/n/pods/p/log", "GET", ("get", "", "v1", "n", "pods", "p", "log")),
        ("/api/v1/namespaces/n", "DELETE", ("delete", "", "v1", "n", "namespaces", "n", "")),
        ("/api/v1/namespaces/n/finalize", "PUT", ("update", "", "v1", "n", "namespaces", "n", "finalize")),
        ("/apis/apps/v1/namespaces/n/deployments", "POST", ("create", "apps", "v1", "n", "deployments", "", "")),
        (
            "/apis/apps/v1/namespaces/n/deployments",
            "DELETE",
            ("deletecollection", "apps", "v1", "n", "deployments", "", ""),
        ),
        ("/api/v1/nodes/x%2Fy", "PATCH", ("patch", "", "v1", "", "nodes", "x/y", "")),
    ],
)
def test_a_resource_path_names_verb_group_place_and_object(path: str, method: str, expected: tuple[str, ...]) -> None:
    assert found(path, method) == expected


def test_a_list_with_watch_is_a_watch() -> None:
    assert found("/api/v1/pods", watch="true")[0] == "watch"
    assert found("/api/v1/pods", watch="false")[0] == "list"


@pytest.mark.parametrize("path", ["/", "/version", "/api", "/apis/apps/v1", "/openapi/v3/api/v1", "/healthz"])
def test_other_paths_are_no_resources(path: str) -> None:
    assert not route("GET", path, {}).is_resource


def test_the_cluster_is_the_first_part_of_the_path_or_the_host() -> None:
    assert cluster_of("/clusters/t1/api/v1/pods", "keyless") == ("t1", "/api/v1/pods")
    assert cluster_of("/clusters/t1", "keyless") == ("t1", "/")
    assert cluster_of("/api/v1/pods", "keyless") == ("keyless", "/api/v1/pods")
