"""What all pods of a Space share reaches each of them, in the form that the API server takes."""

from __future__ import annotations

import pytest

from keyless.local.cluster.admission.pod_standards import violations
from keyless.space import components
from keyless.space.components import Component
from keyless.space.place import Place
from keyless.space.pods import CA_STAMP
from keyless.space.surroundings import PULL_COPY, CaBundle, Proxy, Surroundings
from keyless.space.values import Billing, Values, Workload

PLACE = Place("ctp1", "default", "uid-1", "9f0c", "mxp-9f0c-system")
BILLING = Billing(True, "aws", "usage", "us-west-2", "", "")
WORKLOAD = Workload(
    pod_annotations={"sidecar.example/inject": "false"},
    env=({"name": "KEYLESS_LOG_LEVEL", "value": "debug"}, {"name": "NO_PROXY", "value": "mine"}),
    scheduling={"priorityClassName": "high"},
)
FULL = Values(
    image="keyless/keyless@sha256:" + "0a" * 32,
    billing=BILLING,
    vector=WORKLOAD,
    external_secrets=WORKLOAD,
    surroundings=Surroundings(
        labels={"team": "a", "app.kubernetes.io/name": "mine", "app.kubernetes.io/managed-by": "me"},
        annotations={"owner": "b"},
        pull_secrets=("regcred",),
        proxy=Proxy("http://p:1", "http://p:1"),
        ca_bundle=CaBundle("ConfigMap", "our-ca", stamp="c0ffee"),
    ),
)
PLAIN = Values(billing=BILLING)


def _components(values: Values, *, volume: bool = False) -> tuple[Component, ...]:
    return components.wanted(values, PLACE, volume=volume)


def _template(component: Component) -> dict:
    return dict(component.deployment.object["spec"]["template"])


@pytest.mark.parametrize("component", _components(FULL, volume=True), ids=lambda each: each.name)
def test_it_reaches_every_component(component: Component) -> None:
    template = _template(component)
    (container,) = template["spec"]["containers"]
    env = {each["name"]: each.get("value") for each in container["env"]}
    assert container["image"].endswith("0a0a")
    assert template["spec"]["imagePullSecrets"] == [{"name": PULL_COPY}]
    assert template["spec"]["priorityClassName"] == "high"
    assert template["metadata"]["annotations"] == {
        "owner": "b", "sidecar.example/inject": "false", CA_STAMP: "c0ffee",
    }  # fmt: skip
    assert env["HTTPS_PROXY"] == "http://p:1"
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert env["AWS_CA_BUNDLE"] == env["SSL_CERT_FILE"] == f"{mounts['ca-bundle']}/ca.crt"
    assert env["KEYLESS_LOG_LEVEL"] == "debug"


@pytest.mark.parametrize("component", _components(FULL, volume=True), ids=lambda each: each.name)
def test_a_variable_of_the_user_s_stands_for_ours_and_none_is_there_twice(component: Component) -> None:
    """Lists that the API server keeps by name are refused where a name comes twice."""
    (container,) = _template(component)["spec"]["containers"]
    names = [each["name"] for each in container["env"]]
    assert len(names) == len(set(names))
    assert {"name": "NO_PROXY", "value": "mine"} in container["env"]


@pytest.mark.parametrize("component", _components(FULL, volume=True), ids=lambda each: each.name)
def test_common_labels_hide_no_label_by_which_an_object_is_found(component: Component) -> None:
    objects = [component.before[0].object, component.deployment.object]
    objects += [component.volume.object] if component.volume else []
    for each in objects:
        labels = each["metadata"]["labels"]
        assert labels["team"] == "a"
        assert labels["app.kubernetes.io/name"] == component.name
        assert labels["app.kubernetes.io/managed-by"] == "spaces-operator"
        assert each["metadata"]["annotations"]["owner"] == "b"
    assert _template(component)["metadata"]["labels"]["app.kubernetes.io/name"] == component.name


@pytest.mark.parametrize("component", _components(PLAIN), ids=lambda each: each.name)
def test_who_sets_nothing_has_nothing_of_it_in_a_pod(component: Component) -> None:
    """A template that says nothing new rolls nothing at an upgrade."""
    template = _template(component)
    assert set(template["metadata"]) == {"labels"}
    assert "imagePullSecrets" not in template["spec"]
    names = {each["name"] for each in template["spec"]["containers"][0]["env"]}
    assert not {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "AWS_CA_BUNDLE", "SSL_CERT_FILE"} & names


@pytest.mark.parametrize("values", [PLAIN, FULL], ids=["plain", "full"])
@pytest.mark.parametrize("volume", [False, True])
def test_pods_hold_the_standard_restricted(values: Values, volume: bool) -> None:
    for component in _components(values, volume=volume):
        assert violations(_template(component), "restricted") == []
