"""What is off until it is asked for, the chart's own test, and the notes: as real helm renders them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from keyless.local.cluster.admission.pod_standards import violations

ROLE = "arn:aws:iam::111122223333:role/billing"
VECTOR_ROLE = r"controlPlanes.vector.serviceAccount.customAnnotations.eks\.amazonaws\.com/role-arn"
BUCKET = ("billing.enabled=true", "billing.storage.provider=aws", "billing.storage.aws.bucket=usage")
KEYLESS = (*BUCKET, "billing.storage.secretRef.name=")
CHART = Path(__file__).resolve().parents[3] / "spaces-helm-chart"
SHOWN = """
apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data:
  notes: {{ include (print $.Template.BasePath "/NOTES.txt") . | toJson }}
"""
SWITCHES = {
    "networkPolicy": {("NetworkPolicy", "spaces-operator")},
    "serviceMonitor": {
        ("Service", "spaces-operator-metrics"),
        ("ServiceMonitor", "spaces-operator"),
        ("PodMonitor", "spaces-components"),
    },
    "prometheusRule": {("PrometheusRule", "spaces")},
    "webhook": {
        *((kind, "pod-identity-webhook") for kind in ("ServiceAccount", "Service", "Deployment")),
        *((kind, "spaces-pod-identity-webhook") for kind in ("ClusterRole", "ClusterRoleBinding")),
        ("MutatingWebhookConfiguration", "pod-identity-webhook"),
        *((kind, "spaces-pod-identity-webhook-certificate") for kind in ("Role", "RoleBinding")),
    },
    "issuer": {(kind, "spaces-issuer") for kind in ("ServiceAccount", "Service", "Deployment")},
    "dashboard": {("ConfigMap", "spaces-dashboard")},
}


def _sets(flags: tuple[str, ...]) -> list[str]:
    return [word for flag in flags for word in ("--set", flag)]


async def _rendered(helm, *flags: str) -> dict[tuple[str, str], Any]:
    code, out, errors = await helm("template", "spaces", "spaces-helm-chart", "-n", "spaces", *_sets(flags))
    assert code == 0, errors
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(out) if each}


@pytest.mark.parametrize("switch", SWITCHES)
async def test_a_switch_brings_its_objects_and_nothing_else(helm, switch: str) -> None:
    plain, switched = await _rendered(helm), await _rendered(helm, f"{switch}.enabled=true")
    assert switched.keys() - plain.keys() == SWITCHES[switch]
    assert plain.keys() <= switched.keys()


async def test_the_dashboard_is_found_by_its_label_and_comes_through_as_it_is(helm) -> None:
    found = (await _rendered(helm, "dashboard.enabled=true"))["ConfigMap", "spaces-dashboard"]
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["data"]["keyless-spaces.json"] == (CHART / "files/dashboard.json").read_text(encoding="utf-8")
    elsewhere = await _rendered(helm, "dashboard.enabled=true", "dashboard.labels.mine=x", "dashboard.namespace=g")
    metadata = elsewhere["ConfigMap", "spaces-dashboard"]["metadata"]
    assert (metadata["namespace"], metadata["labels"]["mine"]) == ("g", "x")


async def test_the_right_to_secrets_shrinks_to_the_namespaces_that_are_named(helm) -> None:
    def secrets(role: Any) -> list[Any]:
        return [rule["verbs"] for rule in role["rules"] if rule["resources"] == ["secrets"]]

    plain = await _rendered(helm)
    assert secrets(plain["ClusterRole", "spaces-operator"]) == [["get", "create", "patch", "delete"]]
    named = [f"operator.secretNamespaces[{number}]={name}" for number, name in enumerate(("team-a", "team-a-ctp1"))]
    code, out, errors = await helm("template", "spaces", "spaces-helm-chart", "-n", "spaces", *_sets(tuple(named)))
    assert code == 0, errors
    objects = [each for each in yaml.safe_load_all(out) if each]
    (role,) = [each for each in objects if each["kind"] == "ClusterRole"]
    assert secrets(role) == []
    left = [rule for rule in plain["ClusterRole", "spaces-operator"]["rules"] if rule["resources"] != ["secrets"]]
    assert role["rules"] == left
    rights = {each["metadata"]["namespace"]: secrets(each) for each in objects if each["kind"] == "Role"}
    full = [["get", "create", "patch", "delete"]]
    assert rights == {"team-a": full, "team-a-ctp1": full, "spaces": [["get"]]}
    bound = [each for each in objects if each["kind"] == "RoleBinding"]
    assert {each["metadata"]["namespace"] for each in bound} == rights.keys()
    assert {each["subjects"][0]["namespace"] for each in bound} == {"spaces"}


async def test_monitors_find_the_pods_that_there_are(helm) -> None:
    objects = await _rendered(helm, "serviceMonitor.enabled=true", "serviceMonitor.additionalLabels.release=prometheus")
    pod = objects["Deployment", "spaces-operator"]["spec"]["template"]
    service = objects["Service", "spaces-operator-metrics"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (port,) = pod["spec"]["containers"][0]["ports"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    monitor = objects["ServiceMonitor", "spaces-operator"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert monitor["spec"]["endpoints"][0]["interval"] == "30s"


async def test_a_policy_lets_metrics_in_from_whom_it_names_and_requests_out(helm) -> None:
    named = "networkPolicy.from[0].namespaceSelector.matchLabels.team=monitoring"
    found = (await _rendered(helm, "networkPolicy.enabled=true", named))["NetworkPolicy", "spaces-operator"]["spec"]
    assert found["ingress"][0]["from"] == [{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}]
    assert found["egress"] == [{}]
    only = await _rendered(helm, "networkPolicy.enabled=true", "networkPolicy.egress[0].ports[0].port=443")
    assert only["NetworkPolicy", "spaces-operator"]["spec"]["egress"] == [{"ports": [{"port": 443}]}]


async def test_rules_of_the_users_stand_beside_the_charts(helm) -> None:
    flags = ("prometheusRule.enabled=true", "prometheusRule.additionalRules[0].alert=Mine")
    (group,) = (await _rendered(helm, *flags))["PrometheusRule", "spaces"]["spec"]["groups"]
    alerts = [rule["alert"] for rule in group["rules"]]
    assert alerts[0] == "SpacesOperatorNotLeading"
    assert alerts[-1] == "Mine"
    assert "{{ $labels.namespace }}" in json.dumps(group), "Prometheus' own templates are not Helm's"


async def test_the_charts_test_is_no_pod_of_the_operators(helm) -> None:
    objects = await _rendered(helm)
    pod, deployment = objects["Pod", "spaces-test"], objects["Deployment", "spaces-operator"]
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod["metadata"]["labels"]["app.kubernetes.io/name"] != "spaces-operator"
    assert not deployment["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["containers"][0]["args"][:4] == ["verify", "space", "--namespace", "spaces"]
    assert violations(pod, "restricted") == []


async def test_definitions_that_somebody_else_brings_are_left_alone(helm) -> None:
    pod = (await _rendered(helm, "crds.enabled=false"))["Deployment", "spaces-operator"]["spec"]["template"]
    assert {"name": "KEYLESS_APPLY_DEFINITIONS", "value": "false"} in pod["spec"]["containers"][0]["env"]
    plain = (await _rendered(helm))["Deployment", "spaces-operator"]["spec"]["template"]
    assert "KEYLESS_APPLY_DEFINITIONS" not in json.dumps(plain)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "Billing is off. To meter usage: docs/guides/billing-workload-identity.md"),
        (("billing.enabled=true",), "Billing is on and has no place yet: add --set billing.storage.provider=aws"),
        (BUCKET, 'helm upgrade spaces spaces-helm-chart --namespace spaces --reuse-values --set "billing.storage.secr'),
        (KEYLESS, "Next: aws eks create-pod-identity-association for service account vector"),
        ((*KEYLESS, f"{VECTOR_ROLE}={ROLE}"), f"as role {ROLE}.\nNext: keyless verify billing"),
        ((), "Next: aws eks create-pod-identity-association for service account external-secrets-controller"),
        (("sharedSecrets.enabled=false",), "Shared secrets are off. To switch them on: docs/guides/"),
        ((*KEYLESS, "billing.flushInterval=1m"), "every 1m: 89280 PUTs a control plane and month, about USD 0.45 at"),
        ((*KEYLESS, "billing.flushInterval=5m"), "every 5m: 17856 PUTs a control plane and month, about USD 0.09 at"),
        ((*KEYLESS, "billing.flushInterval=1h"), "every 1h: 1488 PUTs a control plane and month, about USD 0.01 at"),
        (
            (*BUCKET, "billing.export.schedule=@monthly"),
            "to s3://usage/report/account=notdemo/, and no role",
        ),
        ((), "helm test spaces --namespace spaces"),
    ],
)
async def test_the_notes_say_the_next_step(helm, tmp_path: Path, flags: tuple[str, ...], said: str) -> None:
    # helm 3 shows notes to nobody without a cluster: here they are a ConfigMap's.
    shutil.copytree(CHART, tmp_path / "chart")
    (tmp_path / "chart/templates/shown.yaml").write_text(SHOWN)
    code, out, errors = await helm("template", "spaces", str(tmp_path / "chart"), "-n", "spaces", *_sets(flags))
    assert code == 0, errors
    objects = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(out) if each}
    assert said in objects["ConfigMap", "notes"]["data"]["notes"]
