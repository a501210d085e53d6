"""Discovery documents: aggregated (one GET for everything) and plain (one GET for each group and version).

Spec: https://kubernetes.io/docs/reference/using-api/api-concepts/#aggregated-discovery. The media type of an
aggregated answer repeats the one that was asked for; clients compare it.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from keyless.local.cluster.builtin import Subresource
from keyless.local.cluster.catalogue import Catalogue, Served
from keyless.local.cluster.messages import Reply, Request, json_reply
from keyless.local.cluster.status import no_such_path

_ASKED = re.compile(r"application/json;\s*g=apidiscovery\.k8s\.io;\s*v=(v2(?:beta1)?);\s*as=APIGroupDiscoveryList")


def discover(request: Request, catalogue: Catalogue, server_address: str) -> Reply:
    """Answer ``/api``, ``/apis`` and everything below them that is no resource."""
    parts = request.path.strip("/").split("/")
    if len(parts) == 1 and (asked := _ASKED.search(request.accept)):
        return _aggregated(request, catalogue, asked.group(1), core=parts[0] == "api")
    match parts:
        case ["api"]:
            address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}]
            body: dict[str, Any] = {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address}
        case ["apis"]:
            groups = [_group(catalogue, group) for group in catalogue.groups() if group]
            body = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group] if group in catalogue.groups():
            body = {"kind": "APIGroup", "apiVersion": "v1", **_group(catalogue, group)}
        case ["api", "v1"]:
            body = _resources(catalogue, "", "v1")
        case ["apis", group, version] if version in catalogue.versions(group):
            body = _resources(catalogue, group, version)
        case _:
            raise no_such_path()
    return json_reply(200, body)


def _aggregated(request: Request, catalogue: Catalogue, version: str, *, core: bool) -> Reply:
    etag = f'"{catalogue.digest}"'
    headers = {"ETag": etag, "Vary": "Accept", "Cache-Control": "public"}
    media = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    if request.headers.get("if-none-match", "").strip() in {etag, catalogue.digest}:
        return Reply(304, media_type=media, headers=headers)
    groups = [""] if core else [group for group in catalogue.groups() if group]
    body = {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [_discovered_group(catalogue, group) for group in groups],
    }
    return Reply(200, orjson.dumps(body), media, headers)


def _discovered_group(catalogue: Catalogue, group: str) -> dict[str, Any]:
    return {
        "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
        "versions": [
            {
                "version": version,
                "resources": [_discovered(r) for r in _in(catalogue, group, version)],
                "freshness": "Current",
            }
            for version in catalogue.versions(group)
        ],
    }


def _discovered(served: Served) -> dict[str, Any]:
    body: dict[str, Any] = {
        "resource": served.plural,
        "responseKind": {"group": served.group, "version": served.version, "kind": served.kind},
        "scope": "Namespaced" if served.namespaced else "Cluster",
        "singularResource": served.singular,
        "verbs": list(served.verbs),
    }
    if served.short_names:
        body["shortNames"] = list(served.short_names)
    if served.categories:
        body["categories"] = list(served.categories)
    if served.subresources:
        body["subresources"] = [
            {
                "subresource": part.name,
                "responseKind": {"group": part.group, "version": part.version, "kind": part.kind},
                "verbs": list(part.verbs),
            }
            for part in served.subresources
        ]
    return body


def _in(catalogue: Catalogue, group: str, version: str) -> list[Served]:
    return [r for r in catalogue.resources if (r.group, r.version) == (group, version)]


def _group(catalogue: Catalogue, group: str) -> dict[str, Any]:
    versions = [{"groupVersion": f"{group}/{v}", "version": v} for v in catalogue.versions(group)]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _part(served: Served, part: Subresource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": f"{served.plural}/{part.name}",
        "singularName": "",
        "namespaced": served.namespaced,
        "kind": part.kind,
        "verbs": list(part.verbs),
    }
    if (part.group, part.version) != (served.group, served.version):
        entry |= {"group": part.group, "version": part.version}
    return entry


def _resources(catalogue: Catalogue, group: str, version: str) -> dict[str, Any]:
    resources: list[dict[str, Any]] = []
    for served in _in(catalogue, group, version):
        entry: dict[str, Any] = {
            "name": served.plural,
            "singularName": served.singular,
            "namespaced": served.namespaced,
            "kind": served.kind,
            "verbs": list(served.verbs),
        }
        if served.short_names:
            entry["shortNames"] = list(served.short_names)
        if served.categories:
            entry["categories"] = list(served.categories)
        resources.append(entry)
        resources += [_part(served, part) for part in served.subresources]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": resources,
    }
