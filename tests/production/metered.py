"""A Space whose usage is stored: two control planes of its own, each with a small volume that can be filled."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from production.attached import Brought
from production.beside import NAMESPACE, PROVIDER, Beside
from production.images import ROOT
from production.node import OneNode
from production.parts import said
from tests.tools import GUIDES, kubernetes_clients

BUCKET, ROLE, ACCOUNT = "faults-usage", "faults", "notdemo"
NAMES = ("metered1", "metered2")
#: the one whose collector has its role by an association, from the agent; the others by a token of their own
BY_POD_IDENTITY = "metered2"
VOLUME_BYTES = 32 << 20
_VPCS = ROOT / "docs" / "guides" / "examples"


class Metered:
    """``up`` attaches, installs and waits until usage of both is stored."""

    def __init__(self, node: OneNode, cloud: Beside, apis: tuple[Brought, ...], folder: Path) -> None:
        """``apis``: one for each control plane, and one to spare."""
        self.node, self.cloud, self.folder = node, cloud, folder
        *mine, self.spare = apis
        self.apis = dict(zip(NAMES, mine, strict=True))
        self.namespaces: dict[str, str] = {}
        clients = kubernetes_clients(GUIDES)
        assert clients is not None
        self._helm = clients / "helm"

    def up(self) -> None:
        """Bring it to where a guide ends."""
        for name, api in self.apis.items():
            api.attach(name)
            self.wait(name, "Ready", "True")
            self.namespaces[name] = str(self.plane(name)["status"]["hostNamespace"])
            api.kubectl("apply", "-f", str(_VPCS / "vpcs-crd.yaml"))
            api.kubectl("wait", "--for=condition=Established", "crd/vpcs.ec2.aws.upbound.io", "--timeout=30s")
            api.kubectl("apply", "-f", str(_VPCS / "vpcs.yaml"))
            self._volume(name)
        self._identity()
        role = f"arn:aws:iam::111122223333:role/{ROLE}"
        annotation = r"controlPlanes.vector.serviceAccount.customAnnotations.eks\.amazonaws\.com/role-arn"
        self.upgrade(
            "billing.enabled=true", "billing.storage.provider=aws", "billing.storage.aws.region=us-west-2",
            f"billing.storage.aws.bucket={BUCKET}", "billing.storage.secretRef.name=",
            "controlPlanes.vector.persistence.enabled=true",
            f"{annotation}={role}",
        )  # fmt: skip
        for name in NAMES:
            self.wait(name, "BillingStored", "True")

    def upgrade(self, *values: str, reuse: bool = False) -> None:
        """``helm upgrade`` with values."""
        sets = [word for value in values for word in ("--set", value)]
        self.helm("upgrade", "spaces", str(ROOT / "spaces-helm-chart"), *(("--reuse-values",) if reuse else ()), *sets)

    def helm(self, *words: str) -> str:
        """What helm prints; it waits for what it changed."""
        environ = {**os.environ, "KUBECONFIG": str(self.node.api.kubeconfig)}
        return said(self._helm, *words, "--wait", "--timeout", "120s", environ=environ)

    def plane(self, name: str) -> Any:
        """A ControlPlane."""
        return self.node.object("controlplane", name, "-n", "default")

    def wait(self, name: str, condition: str, status: str, *, seconds: int = 180) -> None:
        """Wait for a condition of a ControlPlane."""
        waiting = f"--for=condition={condition}={status}"
        self.node.kubectl("wait", f"controlplane/{name}", "-n", "default", waiting, f"--timeout={seconds}s")

    def stored_by(self, name: str) -> str:
        """What a ControlPlane says of who stored its usage."""
        (found,) = [one for one in self.plane(name)["status"]["conditions"] if one["type"] == "BillingStored"]
        return str(found["message"])

    def change(self, number: int) -> None:
        """One resource more in each control plane: usage that the fault could lose."""
        vpc = {"apiVersion": "ec2.aws.upbound.io/v1beta1", "kind": "VPC", "metadata": {"name": f"f{number}"}}
        for api in self.apis.values():
            api.kubectl("apply", "-f", "-", given=json.dumps({**vpc, "spec": {}}))

    def unsettled(self) -> str:
        """What is not as it should be, in a few words; empty where everything is."""
        for name in NAMES:
            found = {one["type"]: one["status"] for one in self.plane(name)["status"]["conditions"]}
            if found.get("Ready") != "True" or found.get("BillingHealthy", "True") != "True":
                return f"{name}: {found}"
        agent = self.node.object("daemonset", "eks-pod-identity-agent", "-n", "kube-system")["status"]
        if agent["numberReady"] != agent["desiredNumberScheduled"] or agent.get("numberUnavailable"):
            return f"kube-system/eks-pod-identity-agent: {agent}"
        places = [("default", "spaces-operator"), (NAMESPACE, "keyless-cloud"), ("kube-system", "pod-identity-webhook")]
        places += [(at, name) for at in self.namespaces.values() for name in ("vector", "external-secrets")]
        for namespace, name in places:
            deployment = self.node.object("deployment", name, "-n", namespace)
            spec, status = deployment["spec"], deployment.get("status") or {}
            current = status.get("observedGeneration") == deployment["metadata"]["generation"]
            numbers = {status.get(key) for key in ("replicas", "updatedReplicas", "readyReplicas")}
            if not current or numbers != {spec["replicas"]}:
                return f"{namespace}/{name}: {status}"
        return ""

    def settled(self, what: str) -> None:
        """Wait until everything is as it should be."""
        last = ""

        def holds() -> bool:
            nonlocal last
            try:
                last = self.unsettled()
            except AssertionError as error:  # an API server that is on its way back
                last = str(error)
            return not last

        try:
            self.node.parts.wait(f"all to settle after {what}", holds, 240.0)
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}") from None

    def _volume(self, name: str) -> None:
        at = self.folder / name
        at.mkdir()
        said("mount", "-t", "tmpfs", "-o", f"size={VOLUME_BYTES},mode=0777", "tmpfs", at)
        self.node.volume(name, at, claim=(self.namespaces[name], "vector-spool"))

    def _identity(self) -> None:
        aws = self.cloud.aws
        self.cloud.bucket(BUCKET)
        issuer = self.node.api.url
        arn = f"arn:aws:iam::111122223333:oidc-provider/{PROVIDER}"
        aws("iam", "delete-open-id-connect-provider", "--open-id-connect-provider-arn", arn)
        aws("iam", "create-open-id-connect-provider", "--url", issuer, "--client-id-list", "sts.amazonaws.com")
        subjects = [f"system:serviceaccount:{namespace}:vector" for namespace in self.namespaces.values()]
        trusted = {f"{PROVIDER}:sub": subjects, f"{PROVIDER}:aud": "sts.amazonaws.com"}
        trust = _document(
            {
                "Principal": {"Federated": arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": trusted},
            },
            {"Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"]},
        )
        policy = _document({"Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"})
        role = aws("iam", "create-role", "--role-name", ROLE, "--assume-role-policy-document", trust)["Role"]["Arn"]
        # The webhook prefers it to the annotation, which both have.
        aws(
            "eks",
            "create-pod-identity-association",
            "--cluster-name",
            "keyless",
            "--namespace",
            self.namespaces[BY_POD_IDENTITY],
            "--service-account",
            "vector",
            "--role-arn",
            role,
        )
        aws("iam", "put-role-policy", "--role-name", ROLE, "--policy-name", "usage", "--policy-document", policy)


def _document(*statements: dict[str, object]) -> str:
    allowed = [{"Effect": "Allow", **one} for one in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})
