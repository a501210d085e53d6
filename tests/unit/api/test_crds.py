"""The carried CustomResourceDefinitions: whole, structural where a reader relies on it, equal where they must be."""

import re
from typing import Any

import pytest

from keyless.api import crds
from keyless.space.components import EXTERNAL_SECRETS, VECTOR
from keyless.space.control_planes.workloads import CONDITIONS


def _schema(definition: dict[str, Any]) -> dict[str, Any]:
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def _spec(name: str) -> dict[str, Any]:
    return _schema(crds.load(name))["properties"]["spec"]["properties"]


def _nodes(schema: dict[str, Any]) -> Any:
    yield schema
    for child in schema.get("properties", {}).values():
        yield from _nodes(child)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _nodes(schema[key])


@pytest.mark.parametrize("name", crds.HOST + crds.TENANT)
def test_a_definition_is_named_after_what_it_defines(name: str) -> None:
    definition = crds.load(name)
    spec = definition["spec"]
    assert definition["metadata"]["name"] == name == f"{spec['names']['plural']}.{spec['group']}"
    assert [v["name"] for v in spec["versions"] if v["storage"] and v["served"]] == [spec["versions"][0]["name"]]
    assert spec["versions"][0]["subresources"] == {"status": {}}


@pytest.mark.parametrize("name", crds.HOST + crds.TENANT)
def test_every_node_has_a_type_and_nothing_in_a_spec_is_defaulted(name: str) -> None:
    for node in _nodes(_schema(crds.load(name))):
        assert "type" in node or "x-kubernetes-int-or-string" in node
        assert "default" not in node


@pytest.mark.parametrize("name", crds.HOST)
def test_conditions_are_a_map_by_type_so_that_each_writer_owns_its_own(name: str) -> None:
    status = _schema(crds.load(name))["properties"]["status"]["properties"]
    for owner in [status, status.get("failed", {}).get("items", {}).get("properties", {})]:
        if conditions := owner.get("conditions"):
            assert conditions["x-kubernetes-list-type"] == "map"
            assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_what_a_shared_object_contains_is_what_it_is_projected_into() -> None:
    external = _schema(crds.load("externalsecrets.external-secrets.io"))["properties"]["spec"]
    for name in ("clusterexternalsecrets.external-secrets.io", "sharedexternalsecrets.spaces.upbound.io"):
        assert _spec(name)["externalSecretSpec"] == external
    aws = _spec("secretstores.external-secrets.io")["provider"]["properties"]["aws"]
    for name in ("clustersecretstores.external-secrets.io", "sharedsecretstores.spaces.upbound.io"):
        assert _spec(name)["provider"]["properties"]["aws"] == aws


def test_only_a_cluster_wide_store_may_name_a_shared_store() -> None:
    assert "upboundspaces" in _spec("clustersecretstores.external-secrets.io")["provider"]["properties"]
    assert "upboundspaces" not in _spec("secretstores.external-secrets.io")["provider"]["properties"]


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"controlplanes\.spaces\.upbound\.io"):
        crds.load("nothing.example.org")


def test_two_readers_do_not_share_an_object() -> None:
    assert crds.all() == crds.all()
    assert crds.load(crds.HOST[0]) is not crds.load(crds.HOST[0])


def test_no_category_is_another_kinds_name() -> None:
    """``kubectl get externalsecrets`` asks for one kind: a category of that word would answer with others beside."""
    names = [definition["spec"]["names"] for definition in crds.all()]
    words = {word for one in names for word in (one["plural"], one["singular"], *one.get("shortNames", ()))}
    assert not [one["plural"] for one in names if words & set(one.get("categories", ()))]


EXTERNAL_SECRETS_COLUMNS = {
    "externalsecrets": ["StoreType", "Store", "Refresh Interval", "Status", "Ready", "Last Sync"],
    "clusterexternalsecrets": ["Store", "Refresh Interval", "Ready"],
    "secretstores": ["AGE", "Status", "Capabilities", "Ready"],
    "clustersecretstores": ["AGE", "Status", "Capabilities", "Ready"],
}


@pytest.mark.parametrize("plural", EXTERNAL_SECRETS_COLUMNS)
def test_the_columns_are_external_secrets_own(plural: str) -> None:
    version = crds.load(f"{plural}.external-secrets.io")["spec"]["versions"][0]
    assert [column["name"] for column in version["additionalPrinterColumns"]] == EXTERNAL_SECRETS_COLUMNS[plural]


def test_a_list_of_control_planes_shows_what_stands_and_what_stands_in_the_way() -> None:
    """Each column is a condition that the operator writes: another type's name would show nothing for ever."""
    (version,) = crds.load("controlplanes.spaces.upbound.io")["spec"]["versions"]
    columns = {one["name"]: one["jsonPath"] for one in version["additionalPrinterColumns"] if not one.get("priority")}
    assert list(columns) == ["Crossplane", "Ready", "Billing", "Secrets", "Message", "Age"]
    shown = {name: re.findall(r"@\.type=='(\w+)'", path) for name, path in columns.items()}
    conditions = {name: types[0] for name, types in shown.items() if types}
    assert conditions == {
        "Ready": "Ready",
        "Billing": CONDITIONS[VECTOR][0],
        "Secrets": CONDITIONS[EXTERNAL_SECRETS][0],
    }
