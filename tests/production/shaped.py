"""A controller in Crossplane's shape (``crossplane/main.go``): its image, what it works on inside, and what it cost."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from image.build import WORK, buildah

from production.beside import KEYLESS, PROVIDER, Beside
from production.node import OneNode
from production.owning import Owned
from production.parts import Parts

MODULE = Path(__file__).parent / "crossplane"
IMAGE = "localhost/crossplane-shaped:1"
ROLE, ACCOUNT, BILLED_ACCOUNT, BUCKET = "beside", "111122223333", "notdemo", "beside-usage"
KINDS = (
    ("shop.example.org", "v1", "stores", "Store", "Namespaced", "claim"),
    ("shop.example.org", "v1", "xstores", "XStore", "Cluster", "composite"),
    ("s3.aws.upbound.io", "v1beta1", "buckets", "Bucket", "Cluster", "managed"),
)
_ANNOTATION = r"controlPlanes.vector.serviceAccount.customAnnotations.eks\.amazonaws\.com/role-arn"
VALUES = (
    "billing.enabled=true",
    "billing.storage.provider=aws",
    "billing.storage.aws.region=us-west-2",
    f"billing.storage.aws.bucket={BUCKET}",
    "billing.storage.secretRef.name=",
    "billing.flushInterval=1m",
    rf"{_ANNOTATION}=arn:aws:iam::{ACCOUNT}:role/{ROLE}",
)


def controller() -> Path:
    """The program, built once for each text of it; it holds all that it needs."""
    texts = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    made = WORK / f"crossplane-{hashlib.sha256(texts).hexdigest()[:12]}" / "controller"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        flags = ("-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags=-s -w")
        partial = made.with_suffix(".partial")
        environ = {**os.environ, "CGO_ENABLED": "0"}
        subprocess.run(["go", "build", *flags, "-o", partial, "."], cwd=MODULE, env=environ, check=True)
        partial.rename(made)
    return made


def image() -> Path:
    """The archive of its image."""
    folder = controller().parent
    archive = folder / "image.tar"
    if not archive.exists():
        (folder / "Containerfile").write_text('FROM scratch\nCOPY controller /controller\nENTRYPOINT ["/controller"]\n')
        told = ("--quiet", "--isolation", "chroot", "--tag", IMAGE, "--file", str(folder / "Containerfile"))
        buildah("bud", *told, str(folder))
        partial = folder / "partial.tar"
        partial.unlink(missing_ok=True)
        buildah("push", "--quiet", IMAGE, f"oci-archive:{partial}:{IMAGE}")
        partial.rename(archive)
    return archive


class Shop:
    """The kinds that it works on, and claims of them; ``kubectl`` asks inside, as an administrator."""

    def __init__(self, kubectl: Callable[..., str], parts: Parts) -> None:
        self._kubectl, self._parts = kubectl, parts

    def define(self) -> None:
        """Its kinds, as packages would bring them."""
        for group, version, plural, kind, scope, category in KINDS:
            open_schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            served: dict[str, Any] = {"name": version, "served": True, "storage": True, "subresources": {"status": {}}}
            served["schema"] = {"openAPIV3Schema": open_schema}
            names = {"plural": plural, "singular": kind.lower(), "kind": kind, "categories": [category]}
            spec = {"group": group, "scope": scope, "names": names, "versions": [served]}
            body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
            self._apply({**body, "metadata": {"name": f"{plural}.{group}"}, "spec": spec})
        for group, _, plural, *_ in KINDS:
            self._kubectl("wait", "--for=condition=Established", f"crd/{plural}.{group}", "--timeout=60s")

    def claim(self, name: str, count: int) -> None:
        """Ask for a store of so many buckets, and wait until all of it is ready."""
        metadata = {"name": name, "namespace": "default"}
        self._apply(
            {"apiVersion": "shop.example.org/v1", "kind": "Store", "metadata": metadata, "spec": {"count": count}}
        )
        self._parts.wait(f"claim {name} and its buckets", lambda: self._ready(name) == count, 240.0)

    def unclaim(self, name: str) -> None:
        """Delete a claim; it goes when all that it held is gone."""
        self._kubectl("delete", "stores.shop.example.org", name, "-n", "default", "--timeout=120s")

    def buckets(self) -> list[dict[str, Any]]:
        """The managed resources that there are."""
        found: list[dict[str, Any]] = json.loads(self._kubectl("get", "buckets.s3.aws.upbound.io", "-o", "json"))[
            "items"
        ]
        return found

    def _ready(self, name: str) -> int:
        mine = [one for one in self.buckets() if one["metadata"]["labels"]["crossplane.io/claim-name"] == name]
        return sum(bool(one.get("status", {}).get("conditions")) for one in mine)

    def _apply(self, body: dict[str, Any]) -> None:
        self._kubectl("apply", "-f", "-", given=json.dumps(body))


class Shaped(Shop):
    """``own`` is the control plane that it works beside; ``folder`` is for what is read of the bucket."""

    def __init__(self, space: OneNode, cloud: Beside, own: Owned, folder: Path) -> None:
        super().__init__(own.kubectl, space.parts)
        self.space, self.cloud, self.own, self._folder = space, cloud, own, folder

    def prepare(self) -> None:
        """Bucket, and one role that the collector and the controller may be."""
        aws = self.cloud.aws
        self.cloud.bucket(BUCKET)
        arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"
        aws("iam", "delete-open-id-connect-provider", "--open-id-connect-provider-arn", arn)
        aws("iam", "create-open-id-connect-provider", "--url", self.space.api.url,
            "--client-id-list", "sts.amazonaws.com")  # fmt: skip
        keys = {
            f"{PROVIDER}:aud": "sts.amazonaws.com",
            f"{PROVIDER}:sub": f"system:serviceaccount:{self.own.namespace}:vector",
        }
        irsa = {
            "Effect": "Allow",
            "Principal": {"Federated": arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": keys},
        }
        pods = {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
        put = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
        aws("iam", "create-role", "--role-name", ROLE, "--assume-role-policy-document", _document(irsa, pods))
        aws(
            "iam", "put-role-policy", "--role-name", ROLE, "--policy-name", "usage", "--policy-document", _document(put)
        )

    def log(self) -> list[str]:
        """What it says, a line each."""
        return self.space.kubectl("logs", "deployment/crossplane", "-n", self.own.namespace).splitlines()

    def pod(self) -> dict[str, Any]:
        """The one pod of it that runs."""
        (found,) = self.space.object("pods", "-n", self.own.namespace, "-l", "app=crossplane")["items"]
        return dict(found)

    def billing(self, *words: str) -> tuple[int, Any]:
        """The code of ``keyless billing …``, and its JSON."""
        asked = [KEYLESS, "billing", *words, f"--bucket={BUCKET}", f"--account={BILLED_ACCOUNT}", "--output=json"]
        environ = {"PATH": os.environ["PATH"], "HOME": str(self._folder), **self.cloud.environ()}
        environ |= {"KUBECONFIG": str(self.space.api.kubeconfig)}
        done = subprocess.run(asked, env=environ, capture_output=True, text=True, check=False)
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        return done.returncode, json.loads(done.stdout)

    def report(self, *by: str, meter: str = "managed") -> Any:
        """The month to date, by these."""
        month = f"--billing-month={datetime.now(UTC):%Y-%m}"
        groups = [f"--by={each}" for each in by]
        return self.billing("report", month, *groups, f"--meter={meter}", "--force-incomplete")[1]

    def manifests(self) -> list[dict[str, Any]]:
        """All that the collector has stored of this control plane, in order."""
        at = self._folder / "bucket"
        shutil.rmtree(at, ignore_errors=True)
        self.cloud.aws("s3", "cp", "--recursive", "--quiet", f"s3://{BUCKET}/manifest/", str(at))
        found = [json.loads(path.read_bytes()) for path in at.rglob("*") if path.is_file() and "account=" in str(path)]
        mine = [one for one in found if one.get("controlPlane", {}).get("name") == self.own.name]
        # A collector without a volume begins to count anew.
        return sorted(mine, key=lambda one: str(one["from"]))


def _document(*statements: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
