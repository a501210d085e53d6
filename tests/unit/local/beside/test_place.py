"""Where pods find a cloud that runs in their cluster, and what is put beside it there."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from keyless.api import Permanent
from keyless.api.settings import load
from keyless.local.beside.eks import agent_place, webhook_objects
from keyless.local.beside.place import Place, names_of, place_of, place_of_service
from keyless.local.beside.service import in_the_cluster
from keyless.local.beside.settings import Settings
from keyless.local.beside.telling import Way
from keyless.local.cloud.eks.agent import AgentPlace, agent_manifest
from keyless.local.state import Authority

WAYS: tuple[Way, ...] = ("policy", "webhook")
ROOT = Path(__file__).resolve().parents[4]
MANIFEST = list(yaml.safe_load_all((ROOT / "keyless-cloud" / "keyless-cloud.yaml").read_text()))


def settings(**more: Any) -> Settings:
    return Settings("s", service="keyless-cloud", **more)


def service(at: object) -> dict[str, Any]:
    return {"spec": {"clusterIP": at}}


@pytest.mark.parametrize(("at", "host"), [("10.0.0.7", "10.0.0.7"), ("fd00::7", "[fd00::7]")])
def test_pods_are_told_the_address_of_the_service(at: str, host: str) -> None:
    place = place_of_service(settings(metadata_port=8080), service(at), ("mine",))
    assert place.environ["AWS_ENDPOINT_URL"] == place.environ["AWS_ENDPOINT_URL_STS"] == f"https://{host}"
    assert place.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] == f"http://{host}"
    assert place.names == ("mine", at, "keyless-cloud.keyless-cloud.svc")


def test_without_instance_metadata_pods_are_told_of_none() -> None:
    assert "AWS_EC2_METADATA_SERVICE_ENDPOINT" not in place_of_service(settings(), service("10.0.0.7"), ()).environ


@pytest.mark.parametrize("at", ["None", "", None, 7, "keyless.example"])
def test_a_service_without_an_address_is_named(at: object) -> None:
    with pytest.raises(Permanent, match="Service keyless-cloud/keyless-cloud: expected a cluster IP"):
        place_of_service(settings(), service(at), ())


async def test_outside_the_cluster_no_service_is_asked_for() -> None:
    nobody: Any = None
    assert await place_of(Settings("s"), nobody) == Place(())
    told = await place_of(Settings("s", pods_endpoint="https://10.9.9.9:8443"), nobody)
    assert told.environ["AWS_ENDPOINT_URL"] == "https://10.9.9.9:8443"


def test_an_agent_that_nobody_could_tell_of_the_cloud_is_refused() -> None:
    with pytest.raises(Permanent, match="--eks-image: the agent must be told where the cloud is"):
        names_of(Settings("s", eks_image="an/image"))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_the_webhook_is_reached_by_its_service_with_a_certificate_of_that_name(authority: Authority) -> None:
    made = {res.kind: obj for res, obj in webhook_objects(settings(eks_image="an/image"), authority)}
    (hook,) = made["MutatingWebhookConfiguration"]["webhooks"]
    at = hook["clientConfig"]["service"]
    assert at == {"name": "pod-identity-webhook", "namespace": "kube-system", "path": "/mutate", "port": 443}
    assert base64.b64decode(hook["clientConfig"]["caBundle"]).decode() == authority.ca_pem
    spec = made["Deployment"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert not spec["hostNetwork"]
    assert container["image"] == "an/image"
    assert "host" not in container["readinessProbe"]["httpGet"]
    assert "--container-credentials-full-uri=http://169.254.170.23/v1/credentials" in container["args"]
    (port,) = made["Service"]["spec"]["ports"]
    assert [one["containerPort"] for one in container["ports"]] == [port["targetPort"]]
    assert (
        made["Service"]["spec"]["selector"].items()
        <= made["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    )


def test_the_agent_answers_on_the_link_local_addresses_and_asks_the_cloud(authority: Authority) -> None:
    chosen = settings(eks_image="an/image")
    place = place_of_service(chosen, service("10.0.0.7"), ())
    spec = agent_manifest("keyless", agent_place(chosen, place, authority))["spec"]["template"]
    (container,) = spec["spec"]["containers"]
    told = {one["name"]: one["value"] for one in container["env"]}
    assert told["AWS_ENDPOINT_URL"] == "https://10.0.0.7"
    assert spec["metadata"]["annotations"]["cloud.keyless.dev/ca"] == authority.ca_pem
    assert told["AWS_CA_BUNDLE"].startswith(container["volumeMounts"][0]["mountPath"])
    assert container["args"][container["args"].index("--bind-hosts") + 1] == "169.254.170.23,fd00:ec2::23"
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}


def test_the_agent_of_a_local_space_is_told_nothing_of_the_kind() -> None:
    spec = agent_manifest("keyless", AgentPlace(41080))["spec"]["template"]
    (container,) = spec["spec"]["containers"]
    assert {"env", "securityContext", "volumeMounts"}.isdisjoint(container)
    assert container["readinessProbe"]["tcpSocket"] == {"host": "127.0.0.1", "port": 41080}


def of_kind(kind: str, namespace: str | None = None) -> list[dict[str, Any]]:
    return [one for one in MANIFEST if one["kind"] == kind and one["metadata"].get("namespace") == namespace]


def test_the_manifest_sets_what_the_cloud_reads() -> None:
    (deployment,) = of_kind("Deployment", "keyless-cloud")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environ = {one["name"]: one.get("value", "keyless-cloud") for one in container["env"]}
    read = load(Settings, flags={}, environ=environ, file={})
    assert (read.service, read.metadata_port, read.namespace) == ("keyless-cloud", 8080, "keyless-cloud")
    assert read.eks_image == container["image"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert (ports["aws"], ports["metadata"], ports["webhook"]) == (read.port, read.metadata_port, read.webhook_port)
    # Kubernetes would tell KEYLESS_CLOUD_PORT=tcp://… of a Service of this name, and the cloud would not start.
    assert deployment["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_the_manifest_lets_the_cloud_write_what_it_writes_and_nothing_of_the_kind_besides(
    authority: Authority,
) -> None:
    chosen = settings(eks_image="an/image")
    place = place_of_service(chosen, service("10.0.0.7"), ())
    written = [
        (res.plural, obj["metadata"].get("namespace"), obj["metadata"]["name"])
        for way in WAYS
        for res, obj in in_the_cluster(chosen, place, authority, way)
    ]
    written += [
        ("daemonsets", "kube-system", "eks-pod-identity-agent"),
        ("configmaps", "kube-system", "eks-pod-identity-associations"),
        ("secrets", "keyless-cloud", "keyless-cloud-access"),
    ]
    for plural, namespace, name in written:
        roles = of_kind("ClusterRole") if namespace is None else of_kind("Role", namespace)
        rules = [rule for role in roles for rule in role["rules"] if plural in rule["resources"]]
        assert any("patch" in rule["verbs"] and name in rule["resourceNames"] for rule in rules), (plural, name)
        assert any("create" in rule["verbs"] for rule in rules), (plural, name)
    for role in of_kind("ClusterRole") + of_kind("Role", "kube-system") + of_kind("Role", "keyless-cloud"):
        for rule in role["rules"]:
            if {"patch", "update", "delete"} & set(rule["verbs"]):
                assert rule["resourceNames"], rule
