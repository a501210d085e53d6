"""Tables: ages, what rows carry, columns of custom resources and their JSONPath."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from keyless.local.cluster.faults import Malformed
from keyless.local.cluster.tables import table
from keyless.local.cluster.tables.ages import human
from keyless.local.cluster.tables.jsonpath import find

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
FOO = {
    "apiVersion": "example.com/v1",
    "kind": "Foo",
    "metadata": {"name": "f", "creationTimestamp": "2026-01-01T11:55:00Z", "annotations": {"a.b/c": "note"}},
    "spec": {
        "n": 3,
        "on": True,
        "list": [{"k": 1}, {"k": 2}],
        "when": "2026-01-01T11:00:00Z",
        "bad": "x",
        "ratio": 1.5,
    },
    "status": {"conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]},
}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (12000, "3h20m"),
        (28800, "8h"),
        (172800, "2d"),
        (180000, "2d2h"),
        (691200, "8d"),
        (86400 * 400, "400d"),
        (86400 * 800, "2y70d"),
        (86400 * 365 * 9, "9y"),
        (-1, "0s"),
        (-5, "<invalid>"),
    ],
)
def test_an_age_is_shown_as_kubectl_users_know_it(seconds: int, text: str) -> None:
    assert human(seconds) == text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".spec.n", [3]),
        ("{.spec.n}", [3]),
        (".spec.list[*].k", [1, 2]),
        (".spec.list[1].k", [2]),
        (".spec.list[-1].k", [2]),
        (".spec.list[0:1]", [{"k": 1}]),
        (".metadata.annotations.a\\.b/c", ["note"]),
        (".metadata.annotations['a\\.b/c']", ["note"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type=='Synced')].status", ["False"]),
        (".spec.list[?(@.k>1)].k", [2]),
        (".spec.list[?(@.none)]", []),
        (".spec.nothing.at.all", []),
    ],
)
def test_a_json_path_finds(path: str, expected: list[Any]) -> None:
    assert find(path, FOO) == expected


@pytest.mark.parametrize("path", ["spec", ".a[", ".a[x]", ".a[?(bogus", ".a[]"])
def test_a_json_path_that_cannot_be_read_is_malformed(path: str) -> None:
    with pytest.raises(Malformed):
        find(path, FOO)


def column(name: str, kind: str, path: str, priority: int = 0) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path, "priority": priority}


def cells(*columns: dict[str, Any]) -> list[Any]:
    made = table("example.com", "foos", "v1", [FOO], now=NOW, crd_columns=columns)
    row: list[Any] = made["rows"][0]["cells"]
    return row


def test_cells_of_a_custom_resource_have_the_types_of_their_columns() -> None:
    made = cells(
        column("N", "integer", ".spec.n"),
        column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        column("On", "boolean", ".spec.on"),
        column("Ratio", "number", ".spec.ratio"),
        column("When", "date", ".spec.when"),
        column("Bad", "date", ".spec.bad"),
        column("Wrong", "integer", ".spec.bad"),
        column("List", "string", ".spec.list"),
        column("Missing", "string", ".spec.missing"),
    )
    assert made == ["f", 3, "True", True, 1.5, "60m", "<invalid>", None, '[{"k":1},{"k":2}]', None]


def test_a_custom_resource_without_columns_shows_its_age() -> None:
    made = table("example.com", "foos", "v1", [FOO], now=NOW, crd_columns=[], list_metadata={"resourceVersion": "7"})
    assert [definition["name"] for definition in made["columnDefinitions"]] == ["Name", "Age"]
    assert made["rows"][0]["cells"] == ["f", "5m"]
    assert made["metadata"] == {"resourceVersion": "7"}


def test_rows_carry_metadata_the_object_or_nothing() -> None:
    def carried(include: str) -> Any:
        return table("example.com", "foos", "v1", [FOO], now=NOW, crd_columns=[], include=include)["rows"][0]["object"]

    assert carried("None") is None
    assert carried("Object") is FOO
    assert carried("Metadata") == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": FOO["metadata"],
    }


def test_an_unknown_built_in_shows_when_it_was_made() -> None:
    made = table("rbac.authorization.k8s.io", "roles", "v1", [FOO], now=NOW)
    assert made["rows"][0]["cells"] == ["f", "2026-01-01T11:55:00Z"]
