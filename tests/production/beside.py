"""The local AWS in the node's cluster, by its own manifest, and an ``aws`` that asks it as its administrator."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from production.images import ROOT
from production.network import ADDRESS
from production.node import OneNode
from production.parts import said
from tests.tools import aws_cli

KEYLESS = ROOT / ".venv" / "bin" / "keyless"
NAMESPACE = "keyless-cloud"
#: the issuer without scheme and port, as IAM names providers
PROVIDER = ADDRESS
_USER = 65532


class Beside:
    """``keyless-cloud.yaml`` on the node; ``aws`` asks it as its administrator, at its Service's address."""

    def __init__(self, node: OneNode, folder: Path) -> None:
        self.node, self.state = node, folder
        clients = aws_cli()
        assert clients is not None
        self._aws = clients / "aws"
        self.url = ""
        self._signing: dict[str, str] = {}

    def up(self) -> None:
        """Apply the manifest, with a volume to claim, and wait until cloud, webhook and agent are ready."""
        volume = self.state / "volume"
        volume.mkdir()
        os.chown(volume, _USER, _USER)
        self.node.volume("keyless-cloud", volume, claim=(NAMESPACE, "keyless-cloud"))
        self.node.kubectl("apply", "-f", str(ROOT / "keyless-cloud" / "keyless-cloud.yaml"))
        self.node.kubectl("rollout", "status", "deployment/keyless-cloud", "-n", NAMESPACE, "--timeout=120s")
        for part in ("deployment/pod-identity-webhook", "daemonset/eks-pod-identity-agent"):
            self.node.kubectl("wait", "--for=create", part, "-n", "kube-system", "--timeout=60s")
            self.node.kubectl("rollout", "status", part, "-n", "kube-system", "--timeout=120s")
        secret = self.node.object("secret", "keyless-cloud-access", "-n", NAMESPACE)["data"]
        facts = {name: base64.b64decode(value).decode() for name, value in secret.items()}
        (self.state / "ca.crt").write_text(facts.pop("ca.crt"))
        self._signing = facts
        self.url = f"https://{self.node.object('service', 'keyless-cloud', '-n', NAMESPACE)['spec']['clusterIP']}"

    def environ(self, *, signed: bool = True) -> dict[str, str]:
        """What a shell needs to ask it, as its administrator unless told otherwise."""
        region = self._signing["AWS_REGION"]
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_CA_BUNDLE": str(self.state / "ca.crt"),
            **(self._signing if signed else {}),
        }

    def aws(self, *words: str, signed: bool = True) -> Any:
        """What ``aws`` answers, read."""
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.state), **self.environ(signed=signed)}
        printed = said(self._aws, *words, "--output", "json", environ=environ)
        return json.loads(printed) if printed.strip() else None
