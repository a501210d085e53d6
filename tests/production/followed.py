"""A Space that writes IAM itself: an operator with the identity that ``keyless identity plan`` prints for it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from production.attached import Brought
from production.beside import KEYLESS, NAMESPACE, PROVIDER, Beside
from production.images import ROOT
from production.node import OneNode
from production.parts import said
from tests.tools import GUIDES, kubernetes_clients

ACCOUNT, BUCKET, PREFIX = "111122223333", "followed-usage", "followed-"
OPERATOR, IRSA, PODS = "spaces-operator", "irsa", "pod-identity"
NEWCOMER = "follower"
COMPONENTS = {"billing": "vector", "shared-secrets": "external-secrets-controller"}
_PROVIDER_ARN = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"
_EXAMPLES = ROOT / "docs" / "guides" / "examples"


class Followed:
    """``up`` gives the operator its identity; ``manage`` lets it write the two components' from there on."""

    def __init__(self, space: OneNode, cloud: Beside, newcomer: Brought, folder: Path) -> None:
        self.space, self.cloud, self.api, self.folder = space, cloud, newcomer, folder
        clients = kubernetes_clients(GUIDES)
        assert clients is not None
        self._helm = clients / "helm"

    def up(self) -> None:
        """The values of both features, and an operator that may write what they are granted."""
        self.nothing_is_left()
        self.cloud.bucket(BUCKET)
        self._upgrade()
        self.api.kubectl("apply", "-f", str(_EXAMPLES / "vpcs-crd.yaml"))
        self.api.kubectl("wait", "--for=condition=Established", "crd/vpcs.ec2.aws.upbound.io", "--timeout=30s")
        self.api.kubectl("apply", "-f", str(_EXAMPLES / "vpcs.yaml"))
        trust = _document(Principal={"Service": "pods.eks.amazonaws.com"}, Action=["sts:AssumeRole", "sts:TagSession"])
        aws = self.cloud.aws
        made = aws("iam", "create-role", "--role-name", OPERATOR, "--assume-role-policy-document", trust)
        for way in (IRSA, PODS):
            policy = json.dumps(self.planned(way)["operatorPolicy"])
            aws("iam", "put-role-policy", "--role-name", OPERATOR, "--policy-name", way, "--policy-document", policy)
        self._associate(made["Role"]["Arn"])
        self.restart_operator()

    def down(self) -> None:
        """The operator without an identity of its own, and billing off, as before."""
        self._upgrade("--reset-values", on=False)
        self.nothing_is_left()
        self.restart_operator()

    def nothing_is_left(self) -> None:
        """No provider and no association, whoever made them."""
        aws = self.cloud.aws
        aws("iam", "delete-open-id-connect-provider", "--open-id-connect-provider-arn", _PROVIDER_ARN)
        for one in aws("eks", "list-pod-identity-associations", "--cluster-name", "keyless")["associations"]:
            aws("eks", "delete-pod-identity-association", "--cluster-name", "keyless",
                "--association-id", one["associationId"])  # fmt: skip

    def planned(self, way: str) -> Any:
        """What ``keyless identity plan`` shows."""
        asked = ("identity", "plan", *_words(way), "--output", "json", "--secret-prefix", PREFIX)
        # A plan with steps ends with exit code 1.
        return json.loads(said("sh", "-c", '"$@" || test $? = 1', "sh", KEYLESS, *asked, environ=self._environ()))

    def manage(self, way: str) -> None:
        """The two objects that say what is managed; ends when both are Ready."""
        for component in COMPONENTS:
            spec = {"component": component, "mode": way, "manage": True, "restart": "Automatic"}
            spec |= {"roleName": role_of(way, component), "clusterName": "keyless"}
            spec |= {"secretPrefix": PREFIX} if component == "shared-secrets" else {}
            kind = {"apiVersion": "keyless.dev/v1alpha1", "kind": "WorkloadIdentity"}
            self.space.kubectl(
                "apply", "-f", "-", given=json.dumps({**kind, "metadata": {"name": component}, "spec": spec})
            )
        for component in COMPONENTS:
            self.space.kubectl("wait", f"workloadidentity/{component}", "--for=condition=Ready", "--timeout=240s")

    def let_go(self, way: str) -> None:
        """Nothing is managed any more, and what was made is taken away."""
        self.space.kubectl("delete", "controlplane", NEWCOMER, "-n", "default", "--ignore-not-found", "--timeout=240s")
        self.space.kubectl("delete", "workloadidentities", "--all")
        said(KEYLESS, "identity", "destroy", "--yes", *_words(way), environ=self._environ())

    def appear(self) -> str:
        """One more control plane; returns its host namespace. Nobody touches IAM."""
        self.api.attach(NEWCOMER)
        self.space.kubectl(*_waiting(NEWCOMER, "condition=Ready"))
        return str(self.plane()["status"]["hostNamespace"])

    def works(self, way: str) -> None:
        """Both components of the newcomer have been to AWS, each as its own role."""
        self._told("BillingStored", f":assumed-role/{role_of(way, 'billing')}/")
        self._told("SharedSecretsRead", f":assumed-role/{role_of(way, 'shared-secrets')}/")

    def _told(self, condition: str, role: str) -> None:
        self.space.parts.wait(f"{condition} by {role}", lambda: role in self._says(condition), 180.0)

    def is_effective(self, component: str) -> None:
        """Wait until the newcomer's row says that AWS gives the role."""
        told = f"{component} to be effective"
        self.space.parts.wait(told, lambda: self.rows(component).get(NEWCOMER) == "Effective", 120.0)

    def is_admitted(self, way: str, component: str, namespaces: list[str]) -> None:
        """Wait until AWS gives the role in these host namespaces, each once, and in no other."""
        found = f"{component} in {namespaces} alone"
        self.space.parts.wait(found, lambda: self.admitted(way, component) == sorted(namespaces), 60.0)

    def plane(self) -> Any:
        """The newcomer."""
        return self.space.object("controlplane", NEWCOMER, "-n", "default")

    def rows(self, component: str) -> dict[str, str]:
        """How far each control plane is, by name."""
        status = self.space.object("workloadidentity", component).get("status") or {}
        return {row["name"]: row["reason"] for row in status.get("controlPlanes") or ()}

    def ready(self, component: str) -> tuple[str, str]:
        """The reason of the condition Ready, and its words."""
        conditions = (self.space.object("workloadidentity", component).get("status") or {}).get("conditions") or ()
        return next(((one["reason"], one["message"]) for one in conditions if one["type"] == "Ready"), ("", ""))

    def admitted(self, way: str, component: str) -> list[str]:
        """The host namespaces whose component AWS gives a role, once for each time that it is written."""
        account = COMPONENTS[component]
        if way == PODS:
            listed = self.cloud.aws("eks", "list-pod-identity-associations", "--cluster-name", "keyless")
            return sorted(one["namespace"] for one in listed["associations"] if one["serviceAccount"] == account)
        subjects = self.statement(role_of(way, component))["Condition"]["StringEquals"][f"{PROVIDER}:sub"]
        return sorted(one.split(":")[2] for one in ([subjects] if isinstance(subjects, str) else subjects))

    def statement(self, role: str) -> Any:
        """The one statement of a role's trust policy that the Space made."""
        (found,) = [one for one in self.trust(role)["Statement"] if one.get("Sid", "").startswith("Keyless")]
        return found

    def trust(self, role: str) -> Any:
        """A role's trust policy."""
        return self.cloud.aws("iam", "get-role", "--role-name", role)["Role"]["AssumeRolePolicyDocument"]

    def in_the_console(self, role: str, document: Any) -> None:
        """A person writes a trust policy."""
        text = json.dumps(document)
        self.cloud.aws("iam", "update-assume-role-policy", "--role-name", role, "--policy-document", text)

    def in_the_cloud(self, *words: str) -> str:
        """What ``keyless`` prints inside the cloud's pod."""
        pod = ("exec", "-n", NAMESPACE, "deployment/keyless-cloud", "--")
        # Over web sockets kubectl drops what a quick command says before its stream is known.
        environ = {**os.environ, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false"}
        return self.space.kubectl(*pod, "python3", "-m", "keyless", *words, environ=environ)

    def calls(self) -> list[Any]:
        """The record of the cloud's calls, in order."""
        return [json.loads(line) for line in self.in_the_cloud("audit", "--output", "json").splitlines()]

    def kill_operators(self) -> None:
        """All of the operator's pods end without a warning."""
        named = ("pods", "-n", "default", "-l", f"app.kubernetes.io/name={OPERATOR}")
        self.space.kubectl("delete", *named, "--grace-period=0", "--force")

    def operators(self, count: int) -> None:
        """So many replicas of the operator."""
        deployment = (f"deployment/{OPERATOR}", "-n", "default")
        self.space.kubectl("scale", *deployment, f"--replicas={count}")
        self.space.kubectl("rollout", "status", *deployment, "--timeout=90s")

    def restart_operator(self) -> None:
        """``kubectl rollout restart``: a pod gets its identity when it is made."""
        deployment = (f"deployment/{OPERATOR}", "-n", "default")
        self.space.kubectl("rollout", "restart", *deployment)
        self.space.kubectl("rollout", "status", *deployment, "--timeout=90s")

    def _says(self, condition: str) -> str:
        conditions = self.plane()["status"].get("conditions") or ()
        return next((f"{one['reason']} {one['message']}" for one in conditions if one["type"] == condition), "")

    def _associate(self, role: str) -> None:
        self.cloud.aws("eks", "create-pod-identity-association", "--cluster-name", "keyless", "--namespace", "default",
                       "--service-account", OPERATOR, "--role-arn", role)  # fmt: skip
        listed = ("get", "configmap", "eks-pod-identity-associations", "-n", "kube-system", "-o", "yaml")
        self.space.parts.wait("the list of associations", lambda: OPERATOR in self.space.kubectl(*listed))

    def _upgrade(self, *words: str, on: bool = True) -> None:
        values = (
            "billing.enabled=true", "billing.storage.provider=aws", "billing.storage.secretRef.name=",
            "billing.storage.aws.region=us-west-2", f"billing.storage.aws.bucket={BUCKET}",
        ) if on else ()  # fmt: skip
        sets = [word for value in values for word in ("--set", value)]
        said(self._helm, "upgrade", "spaces", ROOT / "spaces-helm-chart", "-n", "default", *words, *sets,
             "--wait", "--timeout", "120s", environ=self._environ())  # fmt: skip

    def _environ(self) -> dict[str, str]:
        own = {"KUBECONFIG": str(self.space.api.kubeconfig), "HOME": str(self.folder)}
        return {**os.environ, **self.cloud.environ(), **own}


def role_of(way: str, component: str) -> str:
    """The role's name."""
    return f"followed-{way}-{component}"


def _words(way: str) -> tuple[str, ...]:
    return "--way", way, "--cluster-name", "keyless", "--role-prefix", f"followed-{way}"


def _waiting(plane: str, what: str) -> tuple[str, ...]:
    return "wait", f"controlplane/{plane}", "-n", "default", f"--for={what}", "--timeout=120s"


def _document(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
