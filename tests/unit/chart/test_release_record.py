"""The carried Helm release: what `keyless up` applies, and that it is the chart that stands in the repository."""

import base64
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

from keyless.local.boot.release import installed

CHART = Path(__file__).resolve().parents[3] / "spaces-helm-chart"
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def _stored() -> dict:
    twice = base64.b64decode(base64.b64decode(installed(NOON).secret["data"]["release"]))
    return json.loads(gzip.decompress(twice))


def test_the_record_carries_the_chart_as_it_stands() -> None:
    carried = _stored()["chart"]
    for entry in carried["templates"] + carried["files"]:
        expected = (CHART / entry["name"]).read_bytes()
        assert base64.b64decode(entry["data"]) == expected, f"{entry['name']}: run `make chart-record`"
    assert base64.b64decode(carried["schema"]) == (CHART / "values.schema.json").read_bytes(), "run `make chart-record`"
    names = {entry["name"] for entry in carried["templates"]}
    assert names == {str(path.relative_to(CHART)) for path in (CHART / "templates").rglob("*") if path.is_file()}


def test_the_release_is_deployed_in_the_kubeconfigs_namespace() -> None:
    release = _stored()
    assert (release["name"], release["namespace"], release["version"]) == ("spaces", "default", 1)
    assert release["info"]["status"] == "deployed"
    assert release["info"]["first_deployed"] == "2026-11-22T12:00:00.000000Z"
    secret = installed(NOON).secret
    assert secret["metadata"]["name"] == "sh.helm.release.v1.spaces.v1"
    assert secret["metadata"]["labels"] == {
        "name": "spaces",
        "owner": "helm",
        "status": "deployed",
        "version": "1",
        "modifiedAt": str(int(NOON.timestamp())),
    }


def test_every_object_is_marked_as_helms_own() -> None:
    objects = installed(NOON).objects
    assert {(o["kind"], o["metadata"]["name"]) for o in objects} == {
        ("ConfigMap", "spaces-values"),
        ("ServiceAccount", "spaces-operator"),
        ("ClusterRole", "spaces-operator"),
        ("ClusterRoleBinding", "spaces-operator"),
        ("Deployment", "spaces-operator"),
    }
    for each in objects:
        assert each["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
        assert each["metadata"]["annotations"]["meta.helm.sh/release-name"] == "spaces"
        assert each["metadata"]["annotations"]["meta.helm.sh/release-namespace"] == "default"


def test_the_same_chart_and_time_give_the_same_bytes() -> None:
    assert installed(NOON) == installed(NOON)


def test_the_record_holds_nothing_of_the_machine_that_made_it() -> None:
    text = json.dumps(_stored())
    assert str(CHART.parent) not in text
    assert "modtime" not in text
