"""One control plane that is metered, step by step as the billing guide says, so that each step can be done wrongly."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from production.beside import KEYLESS, PROVIDER, Beside
from production.images import ROOT
from production.node import OneNode
from production.parts import said, succeeds
from tests.tools import GUIDES, kubernetes_clients

ACCOUNT, BUCKET, ROLE = "111122223333", "missteps", "missteps"
STS = "sts.amazonaws.com"
PUT = ("s3:GetObject", "s3:PutObject", "s3:ListBucket")
TAGGED = ("sts:AssumeRole", "sts:TagSession")
_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
_PROVIDER_ARN = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"
_ANNOTATION = r"controlPlanes.vector.serviceAccount.customAnnotations.eks\.amazonaws\.com/role-arn"


class Billed:
    """Steps of a reader; ``plane`` is the control plane, ``namespace`` its host namespace."""

    def __init__(self, space: OneNode, cloud: Beside, plane: str, namespace: str) -> None:
        self.space, self.cloud, self.plane, self.namespace = space, cloud, plane, namespace
        clients = kubernetes_clients(GUIDES)
        assert clients is not None
        self._clients = clients

    def start(self) -> None:
        """A bucket and a role, and nothing else of an earlier reader."""
        aws = self.cloud.aws
        self.provider(None)
        for one in aws("eks", "list-pod-identity-associations", "--cluster-name", "keyless")["associations"]:
            aws("eks", "delete-pod-identity-association", "--cluster-name", "keyless",
                "--association-id", one["associationId"])  # fmt: skip
        buckets = [one["Name"] for one in aws("s3api", "list-buckets")["Buckets"]]
        if BUCKET not in buckets:
            self.cloud.bucket(BUCKET)
        roles = [one["RoleName"] for one in aws("iam", "list-roles")["Roles"]]
        if ROLE not in roles:
            aws("iam", "create-role", "--role-name", ROLE, "--assume-role-policy-document", self.irsa())
        self.permit(*PUT)

    def provider(self, client: str | None) -> None:
        """The cluster's OIDC provider with this client id alone; None: no provider."""
        aws = self.cloud.aws
        aws("iam", "delete-open-id-connect-provider", "--open-id-connect-provider-arn", _PROVIDER_ARN)
        if client is not None:
            url = self.space.api.url
            aws("iam", "create-open-id-connect-provider", "--url", url, "--client-id-list", client)

    def irsa(self, *, namespace: str = "", account: str = "vector", audience: str = STS) -> str:
        """The guide's trust policy, or one for somebody else."""
        subject = f"system:serviceaccount:{namespace or self.namespace}:{account}"
        return _document(
            Principal={"Federated": _PROVIDER_ARN}, Action="sts:AssumeRoleWithWebIdentity",
            Condition={"StringEquals": {f"{PROVIDER}:sub": subject, f"{PROVIDER}:aud": audience}},
        )  # fmt: skip

    def pods(self, *actions: str) -> str:
        """The trust policy for Pod Identity."""
        return _document(Principal={"Service": "pods.eks.amazonaws.com"}, Action=list(actions or TAGGED))

    def trust(self, document: str) -> None:
        """``aws iam update-assume-role-policy``."""
        self.cloud.aws("iam", "update-assume-role-policy", "--role-name", ROLE, "--policy-document", document)

    def permit(self, *actions: str) -> None:
        """``aws iam put-role-policy``."""
        arn = f"arn:aws:s3:::{BUCKET}"
        policy = _document(Action=list(actions), Resource=[arn, f"{arn}/*"])
        self.cloud.aws("iam", "put-role-policy", "--role-name", ROLE, "--policy-name", "m", "--policy-document", policy)

    def associate(self, namespace: str) -> None:
        """``aws eks create-pod-identity-association``."""
        self.cloud.aws("eks", "create-pod-identity-association", "--cluster-name", "keyless", "--namespace", namespace,
                       "--service-account", "vector", "--role-arn", _ARN)  # fmt: skip

    def install(self, *more: str, annotated: bool = True, static: bool = False) -> None:
        """``helm upgrade`` with the guide's values."""
        sets = [
            "billing.enabled=true", "billing.storage.provider=aws",
            "billing.storage.aws.region=us-west-2", f"billing.storage.aws.bucket={BUCKET}", *more,
        ]  # fmt: skip
        sets += [] if static else ["billing.storage.secretRef.name="]
        sets += [f"{_ANNOTATION}={_ARN}"] if annotated else []
        words = [word for one in sets for word in ("--set", one)]
        said(self._clients / "helm", "upgrade", "spaces", ROOT / "spaces-helm-chart", *words, "--wait",
             environ={**os.environ, "KUBECONFIG": str(self.space.api.kubeconfig)})  # fmt: skip
        # The operator hears of the values by its watch; what it makes of them is waited for.
        place = ("-n", self.namespace, "--timeout=60s")
        self.space.kubectl("wait", "--for=create", "deployment/vector", *place)
        role = "{.metadata.annotations.eks\\.amazonaws\\.com/role-arn}"
        if annotated:
            self.space.kubectl("wait", "serviceaccount/vector", f"--for=jsonpath={role}={_ARN}", *place)
        else:
            self.space.parts.wait("the annotation to go", lambda: not self._annotation())

    def restart(self) -> None:
        """``kubectl rollout restart``; the new pod alone is left."""
        self.space.kubectl("rollout", "restart", "deployment/vector", "-n", self.namespace)
        self.space.kubectl("rollout", "status", "deployment/vector", "-n", self.namespace, "--timeout=90s")

    def told(self, status: str, words: str) -> None:
        """Wait until the ControlPlane says so of its usage."""
        self.space.parts.wait(f"BillingStored={status} with {words}", lambda: self._says(status, words), 120.0)

    def broken(self) -> tuple[str, str]:
        """The link and the reason that ``keyless verify billing`` names first; each has a way to mend it."""
        code, printed = self.verify("--output", "json")
        assert code == 1, printed
        (chain,) = json.loads(printed)["items"]
        first = next(link for link in chain["links"] if link["state"] == "Broken")
        assert first["fix"] or first["advice"], first
        return first["name"], first["reason"]

    def verify(self, *words: str) -> tuple[int, str]:
        """``keyless verify billing`` of the control plane: its code, and what it prints."""
        environ = {**os.environ, **self.cloud.environ(), "KUBECONFIG": str(self.space.api.kubeconfig)}
        environ |= {"YOUR_CLUSTER_NAME": "keyless", "HOME": str(self.cloud.state)}
        asked = [KEYLESS, "verify", "billing", "--control-plane", self.plane, *words]
        done = subprocess.run(asked, env=environ, stdout=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stdout

    def waiting(self, reason: str) -> None:
        """Wait until a pod of the collector cannot start for this reason."""
        pods = ("get", "pods", "-n", self.namespace, "-l", "app.kubernetes.io/name=vector")
        self.space.parts.wait(reason, lambda: reason in self.space.kubectl(*pods))

    def agent(self, *, present: bool) -> None:
        """``aws eks create-addon`` or ``delete-addon``; returns when its pod is there, or gone."""
        named = ("--cluster-name", "keyless", "--addon-name", "eks-pod-identity-agent")
        self.cloud.aws("eks", "create-addon" if present else "delete-addon", *named)
        daemon = ("daemonset/eks-pod-identity-agent", "-n", "kube-system", "--timeout=60s")
        if present:
            self.space.kubectl("wait", "--for=create", *daemon)
            self.space.kubectl("rollout", "status", *daemon)
        else:
            at = ("curl", "--silent", "--max-time", "2", "http://169.254.170.23/v1/credentials")
            self.space.parts.wait("the agent to go", lambda: not succeeds(*at))

    def _annotation(self) -> Any:
        account = self.space.object("serviceaccount", "vector", "-n", self.namespace)
        return (account["metadata"].get("annotations") or {}).get("eks.amazonaws.com/role-arn")

    def _says(self, status: str, words: str) -> bool:
        conditions = self.space.object("controlplane", self.plane, "-n", "default")["status"]["conditions"]
        found = next((one for one in conditions if one["type"] == "BillingStored"), None)
        return found is not None and found["status"] == status and words in f"{found['reason']} {found['message']}"


def _document(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
