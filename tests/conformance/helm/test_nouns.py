"""What users of cert-manager's chart set, on every pod that this chart makes; and what would be set and never work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from keyless.local.cluster.admission.pod_standards import violations

DIGEST = "sha256:" + "0b" * 32
#: the section of each workload, and the level that its pods hold
WORKLOADS = {
    "operator": ("Deployment", "spaces-operator", "restricted"),
    "webhook": ("Deployment", "pod-identity-webhook", "restricted"),
    "agent": ("DaemonSet", "eks-pod-identity-agent", "privileged"),
    "issuer": ("Deployment", "spaces-issuer", "restricted"),
}
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
OWN_SPREAD = {**SPREAD, "topologyKey": "host", "labelSelector": {"matchLabels": {"own": "x"}}}
AFFINITY = {"nodeAffinity": {"x": "y"}, "podAntiAffinity": {"x": "z"}}


def _values() -> dict[str, Any]:
    """Every noun, another value for each workload."""
    found: dict[str, Any] = {
        "image": {"digest": DIGEST, "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "regcred"}],
        "commonLabels": {"team": "a"},
        "commonAnnotations": {"owner": "b"},
        "proxy": {"httpsProxy": "http://p:1"},
        "caBundle": {"name": "our-ca"},
    }
    for section in WORKLOADS:
        found[section] = {
            "enabled": True,
            "priorityClassName": f"{section}-class",
            "affinity": AFFINITY,
            "nodeSelector": {"for": section},
            "tolerations": [{"key": section, "operator": "Exists"}],
            "resources": {"limits": {"memory": "1Gi"}},
            "extraEnv": [{"name": "MINE", "value": section}, {"name": "KEYLESS_WEBHOOK_BIND_HOST", "value": "::1"}],
            "topologySpreadConstraints": [SPREAD, OWN_SPREAD],
            "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
            "replicas": 2,
        }
    found["operator"].pop("enabled")
    for key in ("topologySpreadConstraints", "podDisruptionBudget", "replicas"):
        found["agent"].pop(key)
    found["agent"]["clusterName"] = "x"
    return found


@pytest.fixture
async def objects(helm, tmp_path: Path) -> dict[tuple[str, str], Any]:
    (tmp_path / "given.json").write_text(json.dumps(_values()))
    code, out, errors = await helm("template", "spaces", "spaces-helm-chart", "-f", str(tmp_path / "given.json"))
    assert code == 0, errors
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(out) if each}


async def test_every_workload_takes_every_noun(objects: dict[tuple[str, str], Any]) -> None:
    for section, (kind, name, level) in WORKLOADS.items():
        workload = objects[kind, name]
        template, asked = workload["spec"]["template"], _values()[section]
        spec, (container,) = template["spec"], template["spec"]["containers"]
        for key in ("priorityClassName", "affinity", "nodeSelector", "tolerations"):
            assert spec[key] == asked[key], (section, key)
        assert (container["image"], container["imagePullPolicy"]) == (f"keyless/keyless@{DIGEST}", "Always")
        assert spec["imagePullSecrets"] == [{"name": "regcred"}]
        assert container["resources"]["limits"] == asked["resources"]["limits"]
        env = {one["name"]: one.get("value") for one in container["env"]}
        assert (env["MINE"], env["KEYLESS_WEBHOOK_BIND_HOST"]) == (section, "::1")
        assert len(env) == len(container["env"])
        for each in (workload, template):
            assert each["metadata"]["labels"]["team"] == "a"
            assert each["metadata"]["annotations"]["owner"] == "b"
        assert violations({"kind": "Pod", **template}, level) == []
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        if section != "agent":
            assert workload["spec"]["replicas"] == 2
            selector = workload["spec"]["selector"]
            first, second = spec["topologySpreadConstraints"]
            # Without a selector a constraint counts no pods, and spreads nothing.
            assert first == {**SPREAD, "labelSelector": selector}
            assert second == OWN_SPREAD
            budget = objects["PodDisruptionBudget", name]["spec"]
            assert (budget["maxUnavailable"], budget["selector"]) == (1, selector)
    # Those that speak with AWS are told of the way out.
    for section in ("operator", "agent"):
        kind, name, _ = WORKLOADS[section]
        spec = objects[kind, name]["spec"]["template"]["spec"]
        told = {one["name"] for one in spec["containers"][0]["env"]}
        assert told >= {"HTTPS_PROXY", "NO_PROXY", "AWS_CA_BUNDLE", "SSL_CERT_FILE"}
        assert [one["name"] for one in spec["volumes"]] == ["ca-bundle"]


@pytest.mark.parametrize("name", ["spaces-test", "spaces-uninstall"])
async def test_a_pod_that_comes_and_goes_runs_where_the_operator_may(
    objects: dict[tuple[str, str], Any], name: str
) -> None:
    pod = objects["Pod", name]
    spec, asked = pod["spec"], _values()["operator"]
    for key in ("priorityClassName", "nodeSelector", "tolerations"):
        assert spec[key] == asked[key]
    # Beside the operator's pods: kept from them it might wait for a node for ever, and `helm uninstall` with it.
    assert spec["affinity"] == {"nodeAffinity": {"x": "y"}}
    assert "topologySpreadConstraints" not in spec
    assert spec["containers"][0]["volumeMounts"][0]["name"] == spec["volumes"][0]["name"] == "ca-bundle"
    assert violations(pod, "restricted") == []


BUDGET = ("operator.podDisruptionBudget.enabled=true", "operator.replicas=2")
WRONG = {
    "a tag in the repository": (
        ("image.repository=registry:5000/keyless:1.0",),
        'image.repository is "registry:5000/keyless:1.0", which has a tag: set image.tag=1.0 and leave the rest',
    ),
    "a digest in the repository": (("image.repository=a/keyless@sha256:0a",), "set image.digest=sha256:0a and leave"),
    "a URL": (("image.repository=https://a/keyless",), "expected a name without https://"),
    "an unset variable": (("image.repository=/keyless",), "expected a name, as registry.example.com/keyless"),
    "a digest as a tag": (("image.tag=sha256:0a",), 'image.tag is "sha256:0a", which is a digest: set image.digest'),
    "a tag with a blank": (("image.tag=1 0",), 'image.tag is "1 0": expected letters, digits'),
    "no pod may go": (
        (*BUDGET, "operator.podDisruptionBudget.maxUnavailable=0"),
        "with maxUnavailable 0 no pod of 2 may ever go",
    ),
    "none per cent may go": ((*BUDGET, "operator.podDisruptionBudget.maxUnavailable=0%"), "with maxUnavailable 0% no"),
    "all must stay": ((*BUDGET, "operator.podDisruptionBudget.minAvailable=2"), "with minAvailable 2 no pod of 2 may"),
    "all per cent stay": ((*BUDGET, "operator.podDisruptionBudget.minAvailable=100%"), "with minAvailable 100% no pod"),
    "one webhook must stay": (
        ("webhook.enabled=true", "webhook.replicas=1", "webhook.podDisruptionBudget.enabled=true"),
        "webhook.podDisruptionBudget.enabled is true with webhook.replicas below 2",
    ),
    "a scrape that is late": (
        ("serviceMonitor.scrapeTimeout=1m30s",),
        "serviceMonitor.scrapeTimeout is 1m30s and serviceMonitor.interval 30s: expected a timeout no longer",
    ),
    "what a parent chart would share": (
        ("global.imagePullSecrets[0].name=regcred",),
        "global.imagePullSecrets: nothing reads it; did you mean imagePullSecrets?",
    ),
    "another chart's tolerations": (
        ("tolerations[0].operator=Exists",),
        "tolerations: there is no such value; did you mean operator.tolerations?",
    ),
    "another chart's service account": (("serviceAccount.create=false",), "did you mean operator.serviceAccount?"),
}


@pytest.mark.parametrize(("flags", "said"), WRONG.values(), ids=WRONG)
async def test_what_would_never_work_is_refused_with_what_to_set(helm, flags: tuple[str, ...], said: str) -> None:
    sets = [word for flag in flags for word in ("--set", flag)]
    code, _, errors = await helm("template", "spaces", "spaces-helm-chart", *sets)
    assert code != 0
    assert said in errors


@pytest.mark.parametrize(
    "flag",
    ["image.repository=localhost:5000/a/keyless_x", "image.tag=v1.0-rc.1_x", "serviceMonitor.scrapeTimeout=30s",
     "global.imageRegistry=x"],
)  # fmt: skip
async def test_what_works_is_let_in(helm, flag: str) -> None:
    code, _, errors = await helm("template", "spaces", "spaces-helm-chart", "--set", flag)
    assert code == 0, errors
