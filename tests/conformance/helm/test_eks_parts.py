"""Webhook, agent and issuer of a cluster that is not EKS, as real helm renders them."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import yaml

from keyless.api.settings import load
from keyless.cli.run import COMPONENTS, parse
from keyless.identity.injection.service import keeper_of
from keyless.identity.injection.settings import Settings
from keyless.kube.memory import MemoryKube
from keyless.local.cluster.admission.pod_standards import violations

ALL = (
    *(
        "webhook.enabled=true",
        "webhook.associations=kube-system/eks-pod-identity-associations",
        "webhook.region=eu-west-1",
    ),
    *("agent.enabled=true", "agent.clusterName=team", "agent.endpoint=https://eks-auth.example.org"),
    *("issuer.enabled=true", "issuer.ingress.enabled=true", "issuer.ingress.host=oidc.example.org"),
    *("caBundle.name=our-ca", "imagePullSecrets[0].name=regcred", "commonLabels.team=a", "commonAnnotations.owner=b"),
)
WORKLOADS = {
    ("Deployment", "pod-identity-webhook"): "restricted",
    ("DaemonSet", "eks-pod-identity-agent"): "privileged",
    ("Deployment", "spaces-issuer"): "restricted",
}


async def _asked(helm, *flags: str) -> tuple[int, str, str]:
    sets = [word for flag in flags for word in ("--set", flag)]
    return await helm("template", "spaces", "spaces-helm-chart", "-n", "spaces", *sets)


async def _rendered(helm, *flags: str) -> dict[tuple[str, str], Any]:
    code, out, errors = await _asked(helm, *flags)
    assert code == 0, errors
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(out) if each}


async def test_each_is_a_component_of_the_image_whose_flags_it_knows(helm) -> None:
    objects = await _rendered(helm, *ALL)
    for key in WORKLOADS:
        (container,) = objects[key]["spec"]["template"]["spec"]["containers"]
        run, name, *flags = container["args"]
        assert run == "run"
        settings = importlib.import_module(f"{COMPONENTS[name]}.settings").Settings
        told, _, _ = parse(flags, settings)
        read = load(settings, flags=told, environ={}, file=None)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert read.port in ports.values()


async def test_the_pods_hold_the_level_that_is_said_and_what_all_pods_are_told(helm) -> None:
    objects = await _rendered(helm, *ALL)
    for key, level in WORKLOADS.items():
        template = objects[key]["spec"]["template"]
        assert violations({"kind": "Pod", **template}, level) == []
        assert template["spec"]["imagePullSecrets"] == [{"name": "regcred"}]
        assert template["metadata"]["labels"]["team"] == "a"
        assert template["metadata"]["annotations"] == {"owner": "b"}
        assert objects[key]["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    agent = objects["DaemonSet", "eks-pod-identity-agent"]["spec"]["template"]["spec"]
    assert violations({"kind": "Pod", "metadata": {}, "spec": agent}, "restricted") != []
    (container,) = agent["containers"]
    assert {"name": "AWS_CA_BUNDLE", "value": "/etc/keyless/ca/ca.crt"} in container["env"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}


async def test_the_agent_forgets_with_the_pods_of_its_node_and_may_ask_for_no_more(helm) -> None:
    objects = await _rendered(helm, *ALL)
    spec = objects["DaemonSet", "eks-pod-identity-agent"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    told = {each["name"]: each.get("valueFrom") for each in container["env"]}
    assert told["KEYLESS_AGENT_NODE_NAME"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}
    role = objects["ClusterRole", "spaces-pod-identity-agent"]
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]
    binding = objects["ClusterRoleBinding", "spaces-pod-identity-agent"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    subject = {"kind": "ServiceAccount", "name": spec["serviceAccountName"], "namespace": "spaces"}
    assert binding["subjects"] == [subject]
    assert objects["ServiceAccount", spec["serviceAccountName"]]["metadata"]["namespace"] == "spaces"


async def test_webhook_and_issuer_listen_on_the_address_that_the_pod_has(helm) -> None:
    objects = await _rendered(helm, *ALL)
    for name, variable in (("pod-identity-webhook", "WEBHOOK"), ("spaces-issuer", "ISSUER")):
        (container,) = objects["Deployment", name]["spec"]["template"]["spec"]["containers"]
        at = {"name": f"KEYLESS_{variable}_BIND_HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
        assert at in container["env"]


@pytest.mark.parametrize("uri", ["http://[fd00:ec2::23]/v1/credentials", "https://agent.example.org/v1/credentials"])
async def test_pods_are_told_where_the_agent_is(helm, uri: str) -> None:
    objects = await _rendered(helm, "webhook.enabled=true", f"webhook.agentUri={uri}")
    (container,) = objects["Deployment", "pod-identity-webhook"]["spec"]["template"]["spec"]["containers"]
    assert f"--container-credentials-full-uri={uri}" in container["args"]


async def test_the_registration_trusts_the_certificate_of_the_service_that_it_names(helm) -> None:
    objects = await _rendered(helm, "webhook.enabled=true")
    (hook,) = objects["MutatingWebhookConfiguration", "pod-identity-webhook"]["webhooks"]
    service = hook["clientConfig"]["service"]
    assert hook["failurePolicy"] == "Ignore"
    # The webhook's pods fill it in, and Helm does not take it back.
    assert "caBundle" not in hook["clientConfig"]
    template = objects["Deployment", "pod-identity-webhook"]["spec"]["template"]["spec"]
    told, _, _ = parse(template["containers"][0]["args"][2:], Settings)
    settings = load(Settings, flags=told, environ={}, file=None)
    keeper = keeper_of(settings, MemoryKube())
    assert keeper is not None
    assert keeper.place.names == {f"{service['name']}.{service['namespace']}.svc"}
    assert keeper.place.configuration == "pod-identity-webhook"
    (mount,) = template["containers"][0]["volumeMounts"]
    assert (mount["mountPath"], mount.get("readOnly", False)) == (str(keeper.folder), False)
    assert template["volumes"] == [{"name": mount["name"], "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]
    rules = objects["Role", "spaces-pod-identity-webhook-certificate"]["rules"]
    assert objects["Role", "spaces-pod-identity-webhook-certificate"]["metadata"]["namespace"] == keeper.place.namespace
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in rules] == [
        (["create"], None),
        (["get", "update"], [keeper.place.secret]),
    ]
    ports = objects["Service", "pod-identity-webhook"]["spec"]["ports"]
    assert [port["port"] for port in ports] == [service["port"]]


async def test_a_certificate_of_ones_own_is_used_and_none_made(helm) -> None:
    own = ("webhook.enabled=true", "webhook.certificate.secretName=own", "webhook.certificate.caBundle=QUJD")
    objects = await _rendered(helm, *own)
    assert ("Role", "spaces-pod-identity-webhook-certificate") not in objects
    assert len(objects["ClusterRole", "spaces-pod-identity-webhook"]["rules"]) == 1
    (container,) = objects["Deployment", "pod-identity-webhook"]["spec"]["template"]["spec"]["containers"]
    assert not [flag for flag in container["args"] if flag.startswith("--certificate-secret")]
    volumes = objects["Deployment", "pod-identity-webhook"]["spec"]["template"]["spec"]["volumes"]
    assert volumes == [{"name": "certificates", "secret": {"secretName": "own"}}]
    (hook,) = objects["MutatingWebhookConfiguration", "pod-identity-webhook"]["webhooks"]
    assert hook["clientConfig"]["caBundle"] == "QUJD"
    injected = (*own[:2], r"webhook.annotations.cert-manager\.io/inject-ca-from=spaces/hook")
    made = (await _rendered(helm, *injected))["MutatingWebhookConfiguration", "pod-identity-webhook"]
    assert "caBundle" not in made["webhooks"][0]["clientConfig"]
    assert made["metadata"]["annotations"] == {"cert-manager.io/inject-ca-from": "spaces/hook"}


async def test_the_issuer_shows_two_paths_and_no_more(helm) -> None:
    (rule,) = (await _rendered(helm, *ALL))["Ingress", "spaces-issuer"]["spec"]["rules"]
    paths = [(each["path"], each["pathType"]) for each in rule["http"]["paths"]]
    assert paths == [("/.well-known/openid-configuration", "Exact"), ("/openid/v1/jwks", "Exact")]


async def test_the_webhook_may_read_what_it_needs_and_no_more(helm) -> None:
    objects = await _rendered(helm, *ALL)
    rules = objects["ClusterRole", "spaces-pod-identity-webhook"]["rules"]
    registration = {
        "apiGroups": ["admissionregistration.k8s.io"],
        "resources": ["mutatingwebhookconfigurations"],
        "resourceNames": ["pod-identity-webhook"],
        "verbs": ["get", "update"],
    }
    read = {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get", "list", "watch"]}
    assert rules == [read, registration]
    role = objects["Role", "spaces-pod-identity-webhook"]
    assert role["metadata"]["namespace"] == "kube-system"
    assert [rule["resourceNames"] for rule in role["rules"]] == [["eks-pod-identity-associations"]]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("agent.enabled=true",), "agent.clusterName is empty: expected the cluster's name in EKS; `aws eks list-clu"),
        (("webhook.enabled=true", "webhook.certificate.secretName=own"), "set webhook.certificate.caBundle (PEM in ba"),
        # No SDK would take it: the pods would have no credentials.
        (("webhook.enabled=true", "webhook.agentUri=http://10.0.0.7/v1/credentials"), "agentUri"),
        (("issuer.enabled=true", "issuer.ingress.enabled=true"), "issuer.ingress.host is empty: expected the host of"),
    ],
)
async def test_half_of_it_is_refused_with_what_lacks(helm, flags: tuple[str, ...], said: str) -> None:
    code, _, errors = await _asked(helm, *flags)
    assert code != 0
    assert said in errors
