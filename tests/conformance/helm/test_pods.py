"""The operator's pod as real helm renders it: what users may set, and what must hold whatever they set."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from keyless.local.cluster.admission.pod_standards import violations
from keyless.space.parsing import parse_values
from keyless.space.values import Values

ROOT = Path(__file__).resolve().parents[3]
EARLIER = Path(__file__).parent / "earlier_values.yaml"
DIGEST = "sha256:" + "0a" * 32
FULL: dict[str, Any] = {
    "image": {"digest": DIGEST},
    "imagePullSecrets": [{"name": "regcred"}, {"name": "regcred"}],
    "commonLabels": {"team": "a", "app.kubernetes.io/name": "mine"},
    "commonAnnotations": {"owner": "b"},
    "proxy": {"httpProxy": "http://p:1", "httpsProxy": "http://p:1", "noProxy": "10.0.0.0/8"},
    "caBundle": {"kind": "Secret", "name": "our-ca", "key": "root.pem"},
    "operator": {
        "replicas": 2,
        "podDisruptionBudget": {"enabled": True},
        "serviceAccount": {"annotations": {"account": "c"}},
        "deploymentAnnotations": {"deployment": "d"},
        "podLabels": {"pod": "e"},
        "podAnnotations": {"pod": "f"},
        "extraEnv": [{"name": "POD_IP", "value": "::1"}, {"name": "KEYLESS_LOG_LEVEL", "value": "debug"}],
        "priorityClassName": "high",
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"disk": "ssd"},
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
        ],
    },
}


async def _rendered(helm, *flags: str, chart: Path = ROOT / "spaces-helm-chart") -> dict[tuple[str, str], Any]:
    code, out, errors = await helm("template", "spaces", str(chart), *flags)
    assert code == 0, errors
    found = [each for each in yaml.safe_load_all(out) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


async def _with(helm, tmp_path: Path, values: object) -> dict[tuple[str, str], Any]:
    file = tmp_path / "given.json"
    file.write_text(json.dumps(values))
    return await _rendered(helm, "-f", str(file))


def _values(objects: dict[tuple[str, str], Any]) -> Values:
    values = parse_values(objects["ConfigMap", "spaces-values"]["data"]["values.json"])
    assert isinstance(values, Values), values
    return values


def _pod(objects: dict[tuple[str, str], Any]) -> Any:
    return objects["Deployment", "spaces-operator"]["spec"]["template"]


async def test_what_is_set_reaches_the_operators_pod_and_its_components_alike(helm, tmp_path: Path) -> None:
    objects = await _with(helm, tmp_path, FULL)
    template, values = _pod(objects), _values(objects)
    (container,) = template["spec"]["containers"]
    assert container["image"] == values.image == f"keyless/keyless@{DIGEST}"
    assert template["spec"]["imagePullSecrets"] == [{"name": name} for name in values.surroundings.pull_secrets]
    own = ("KEYLESS_LOG_LEVEL", "MALLOC_ARENA_MAX", "POD_IP")
    told = [each for each in container["env"] if "value" in each and each["name"] not in own]
    assert told == list(values.surroundings.env)
    (volume,) = template["spec"]["volumes"]
    assert volume["secret"] == {"secretName": "our-ca", "items": [{"key": "root.pem", "path": "ca.crt"}]}
    for name in ("affinity", "nodeSelector", "tolerations", "topologySpreadConstraints", "priorityClassName"):
        assert template["spec"][name] == FULL["operator"][name]


async def test_labels_and_annotations_stand_where_they_are_named(helm, tmp_path: Path) -> None:
    objects = await _with(helm, tmp_path, FULL)
    for (kind, name), each in objects.items():
        assert each["metadata"]["labels"]["team"] == "a"
        # The pod of `helm test` must be found by nothing that looks for the operator's.
        found_by = name if kind == "Pod" else "spaces-operator"
        assert each["metadata"]["labels"]["app.kubernetes.io/name"] == found_by
        assert each["metadata"]["annotations"]["owner"] == "b"
    assert objects["ServiceAccount", "spaces-operator"]["metadata"]["annotations"]["account"] == "c"
    assert objects["Deployment", "spaces-operator"]["metadata"]["annotations"]["deployment"] == "d"
    template = _pod(objects)
    assert template["metadata"]["annotations"] == {"owner": "b", "pod": "f"}
    selector = objects["Deployment", "spaces-operator"]["spec"]["selector"]["matchLabels"]
    assert selector.items() <= template["metadata"]["labels"].items()
    assert objects["PodDisruptionBudget", "spaces-operator"]["spec"]["selector"]["matchLabels"] == selector


async def test_a_variable_of_the_user_s_stands_for_the_chart_s(helm, tmp_path: Path) -> None:
    (container,) = _pod(await _with(helm, tmp_path, FULL))["spec"]["containers"]
    names = [each["name"] for each in container["env"]]
    assert len(names) == len(set(names))
    assert {"name": "POD_IP", "value": "::1"} in container["env"]
    assert {"name": "KEYLESS_LOG_LEVEL", "value": "debug"} in container["env"]


@pytest.mark.parametrize("values", [{}, FULL], ids=["plain", "full"])
async def test_the_operators_pod_holds_the_standard_restricted(helm, tmp_path: Path, values: object) -> None:
    template = _pod(await _with(helm, tmp_path, values))
    assert violations(template, "restricted") == []
    assert template["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize(
    ("flags", "spec"),
    [
        ((), {"minAvailable": 1}),
        (("operator.podDisruptionBudget.minAvailable=2",), {"minAvailable": 2}),
        (("operator.podDisruptionBudget.maxUnavailable=50%",), {"maxUnavailable": "50%"}),
    ],
)
async def test_a_budget_says_how_many_stay_or_how_many_go(
    helm, flags: tuple[str, ...], spec: dict[str, object]
) -> None:
    sets = [
        word
        for flag in ("operator.replicas=3", "operator.podDisruptionBudget.enabled=true", *flags)
        for word in ("--set", flag)
    ]
    found = (await _rendered(helm, *sets))["PodDisruptionBudget", "spaces-operator"]["spec"]
    assert {name: found.get(name) for name in ("minAvailable", "maxUnavailable") if name in found} == spec


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("operator.podDisruptionBudget.enabled=true",), "could never be drained; set operator.replicas=2"),
        (
            (
                "operator.podDisruptionBudget.enabled=true",
                "operator.replicas=2",
                "operator.podDisruptionBudget.minAvailable=1",
                "operator.podDisruptionBudget.maxUnavailable=1",
            ),
            "found both; leave one empty",
        ),
        (("image.digest=0a0a",), "digest"),
        (("imagePullSecrets[0].nam=regcred",), "nam"),
        (("caBundle.kind=File",), "kind"),
        (("proxy.httpsProxy=proxy:3128",), "httpsProxy"),
        (("operator.extraEnv[0].value=x",), "name"),
        (("commonLabels.team=a b",), "team"),
    ],
)
async def test_what_could_not_work_is_refused_before_anything_is_installed(
    helm, flags: tuple[str, ...], said: str
) -> None:
    code, _, errors = await helm(
        "template", "spaces", "spaces-helm-chart", *(word for flag in flags for word in ("--set", flag))
    )
    assert code != 0
    assert said in errors


async def test_the_values_of_an_earlier_chart_render_as_the_defaults_do(helm, tmp_path: Path) -> None:
    """``--reuse-values`` puts the old chart's values in place of the new one's: what came since is missing."""
    chart = tmp_path / "chart"
    shutil.copytree(ROOT / "spaces-helm-chart", chart)
    shutil.copy(EARLIER, chart / "values.yaml")
    earlier, now = await _rendered(helm, chart=chart), await _rendered(helm)
    # What the old values said of a default that changed is kept, as reusing them means.
    assert replace(_values(earlier), mode=_values(now).mode) == _values(now)
    del earlier["ConfigMap", "spaces-values"], now["ConfigMap", "spaces-values"]
    assert earlier == now
