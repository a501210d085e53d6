"""A control plane of the Space's own with everything attached: usage, shared secrets and snapshots, by one role."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from production.beside import KEYLESS, PROVIDER, Beside
from production.images import ROOT
from production.node import OneNode
from production.owning import Owned, told
from production.parts import said
from tests.tools import GUIDES, kubernetes_clients

ROLE, ACCOUNT = "everything", "111122223333"
USAGE, SNAPSHOTS, SECRET = "everything-usage", "everything-snapshots", "everything-database"
BILLED_ACCOUNT = "notdemo"
ACCOUNTS = ("vector", "external-secrets-controller", "backup")
_EXAMPLES = ROOT / "docs" / "guides" / "examples"
_ALLOWED = {
    "s3:*": [f"arn:aws:s3:::{name}{rest}" for name in (USAGE, SNAPSHOTS) for rest in ("", "/*")],
    "secretsmanager:GetSecretValue": [f"arn:aws:secretsmanager:us-west-2:{ACCOUNT}:secret:{SECRET}*"],
}
#: made by a tenant beside the shared one; each a policy that could delete a Secret or leave it
POLICIES: dict[str, dict[str, str]] = {
    "kept": {"creationPolicy": "Owner", "deletionPolicy": "Retain"},
    "owned": {"creationPolicy": "Owner", "deletionPolicy": "Delete"},
    "left": {"creationPolicy": "Orphan", "deletionPolicy": "Retain"},
    "merged": {"creationPolicy": "Merge", "deletionPolicy": "Merge"},
}
SECRETS = ("database", *POLICIES)


class Everything:
    """``namespaces`` are the host namespaces whose components may be the role."""

    def __init__(self, space: OneNode, cloud: Beside, folder: Path, *namespaces: str) -> None:
        self.space, self.cloud, self.folder, self._namespaces = space, cloud, folder, namespaces

    def up(self) -> None:
        """Bucket, secret and role are made, and the values that name them are set."""
        aws = self.cloud.aws
        for bucket in (USAGE, SNAPSHOTS):
            self.cloud.bucket(bucket)
        aws("secretsmanager", "create-secret", "--name", SECRET, "--secret-string", '{"password":"plugh"}')
        arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"
        aws("iam", "delete-open-id-connect-provider", "--open-id-connect-provider-arn", arn)
        aws("iam", "create-open-id-connect-provider", "--url", self.space.api.url,
            "--client-id-list", "sts.amazonaws.com")  # fmt: skip
        subjects = [f"system:serviceaccount:{place}:{name}" for place in self._namespaces for name in ACCOUNTS]
        trusted = {f"{PROVIDER}:aud": "sts.amazonaws.com", f"{PROVIDER}:sub": subjects}
        trust = _document(
            Principal={"Federated": arn},
            Action="sts:AssumeRoleWithWebIdentity",
            Condition={"StringEquals": trusted},
        )
        aws("iam", "create-role", "--role-name", ROLE, "--assume-role-policy-document", trust)
        for number, (action, resources) in enumerate(_ALLOWED.items()):
            aws("iam", "put-role-policy", "--role-name", ROLE, "--policy-name", f"p{number}",
                "--policy-document", _document(Action=action, Resource=resources))  # fmt: skip
        role = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
        annotated = r"serviceAccount.customAnnotations.eks\.amazonaws\.com/role-arn"
        self.helm(
            "billing.enabled=true", "billing.storage.provider=aws", "billing.storage.aws.region=us-west-2",
            f"billing.storage.aws.bucket={USAGE}", "billing.storage.secretRef.name=",
            "backup.enabled=true", "backup.interval=1m", "backup.keep=3",
            f"backup.storage.aws.bucket={SNAPSHOTS}", "backup.storage.aws.region=us-west-2",
            *(f"controlPlanes.{name}.{annotated}={role}" for name in ("vector", "sharedSecrets", "backup")),
        )  # fmt: skip

    def down(self) -> None:
        """Values, and what is shared, as they were."""
        self.space.kubectl("delete", "sharedexternalsecrets,sharedsecretstores", "everything", "-n", "default",
                           "--ignore-not-found")  # fmt: skip
        self._helm("--reset-values")

    def helm(self, *values: str) -> None:
        """``helm upgrade`` with these values alone."""
        self._helm("--reset-values", *(word for value in values for word in ("--set", value)))

    def _helm(self, *words: str) -> None:
        clients = kubernetes_clients(GUIDES)
        assert clients is not None
        said(
            clients / "helm", "upgrade", "spaces", ROOT / "spaces-helm-chart", "--namespace", "default", *words,
            "--wait", "--timeout", "120s", environ={**os.environ, "KUBECONFIG": str(self.space.api.kubeconfig)},
        )  # fmt: skip

    def share(self, *planes: str) -> None:
        """One store and one secret for these control planes, into namespaces of the team."""
        selected = {
            "controlPlaneSelector": {"names": list(planes)},
            "namespaceSelector": {"labelSelectors": [{"matchLabels": {"team": "payments"}}]},
        }
        provider = {"aws": {"service": "SecretsManager", "region": "us-west-2"}}
        external = {**_external("database"), "refreshInterval": "1h"}
        for kind, spec in (
            ("SharedSecretStore", {**selected, "provider": provider}),
            ("SharedExternalSecret", {**selected, "externalSecretName": "database", "externalSecretSpec": external}),
        ):
            body = {"apiVersion": "spaces.upbound.io/v1alpha1", "kind": kind, "metadata": {"name": "everything"}}
            self.space.kubectl("apply", "-n", "default", "-f", "-", given=json.dumps({**body, "spec": spec}))

    def fill(self, own: Owned) -> None:
        """Three VPCs to count, and a Secret of each policy."""
        own.kubectl("apply", "-f", str(_EXAMPLES / "vpcs-crd.yaml"))
        own.kubectl("wait", "--for=condition=Established", "crd/vpcs.ec2.aws.upbound.io", "--timeout=30s")
        own.kubectl("apply", "-f", str(_EXAMPLES / "vpcs.yaml"))
        own.kubectl("create", "namespace", "payments")
        own.kubectl("label", "namespace", "payments", "team=payments")
        own.kubectl("create", "secret", "generic", "merged", "-n", "payments", "--from-literal=theirs=xyzzy")
        for name, policy in POLICIES.items():
            external = _external(name)
            external["target"] |= policy
            own.kubectl("apply", "-n", "payments", "-f", "-", given=json.dumps({
                "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": name},
                "spec": {**external, "refreshInterval": "10s"},
            }))  # fmt: skip
        self.synced(own)

    def synced(self, own: Owned) -> None:
        """Wait until every Secret was read."""
        for name in SECRETS:
            own.kubectl("wait", "--for=create", f"externalsecret/{name}", "-n", "payments", "--timeout=90s")
            own.kubectl("wait", "--for=condition=Ready", f"externalsecret/{name}", "-n", "payments", "--timeout=120s")

    def secrets(self, own: Owned) -> dict[str, tuple[str, dict[str, str]]]:
        """Each Secret's uid and data."""
        found = json.loads(own.kubectl("get", "secrets", "-n", "payments", "-o", "json"))["items"]
        return {one["metadata"]["name"]: (one["metadata"]["uid"], one["data"]) for one in found}

    def status(self, name: str) -> Any:
        """Of a ControlPlane."""
        return self.space.object("controlplane", name, "-n", "default").get("status") or {}

    def snapshot_after(self, own: Owned) -> str:
        """A snapshot that holds all that is there now."""
        before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        own.wait("BackedUp", "True")
        try:
            self.space.parts.wait(
                "a snapshot with everything",
                lambda: (self.status(own.name).get("backup") or {}).get("takenAt", "") > before,
                180.0,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}\n{told(self.space, own.name, own.namespace)}") from None
        return str(self.status(own.name)["backup"]["snapshot"])

    def billing(self, *words: str) -> tuple[int, Any]:
        """The code of ``keyless billing …``, and its JSON."""
        named = (f"--bucket={USAGE}", f"--account={BILLED_ACCOUNT}", "--output=json")
        kubeconfig = {"KUBECONFIG": str(self.space.api.kubeconfig)}
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.cloud.environ(), **kubeconfig}
        script = 'out=$(mktemp); "$@" >"$out" 2>"$out.err"; echo "$?"; [ -s "$out" ] || cat "$out.err"; cat "$out"'
        printed = said("sh", "-c", script, "sh", KEYLESS, "billing", *words, *named, environ=environ)
        code, _, document = printed.partition("\n")
        assert document.startswith("{"), document
        return int(code), json.loads(document)

    def used(self) -> dict[str, tuple[float, int]]:
        """Exact resource-hours of each control plane, by name, and how many resources were made."""
        month = f"--billing-month={datetime.now(UTC):%Y-%m}"
        _, report = self.billing("report", month, "--by=control-plane", "--force-incomplete")
        return {
            line["values"][0].rpartition("/")[2]: (float(line["exactResourceHours"]), int(line["made"]))
            for line in report["lines"]
        }


def _external(name: str) -> dict[str, Any]:
    return {
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": "everything"},
        "target": {"name": name},
        "data": [{"secretKey": "password", "remoteRef": {"key": SECRET, "property": "password"}}],
    }


def _document(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
