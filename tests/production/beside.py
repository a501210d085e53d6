"""The local AWS beside the node's cluster, and an ``aws`` that asks it as its administrator."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from keyless.local.beside.policy import NAME
from production.network import ADDRESS
from production.node import OneNode
from production.parts import said, succeeds
from tests.tools import aws_cli

KEYLESS = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "keyless"
PORT = 18443
URL = f"https://{ADDRESS}:{PORT}"
#: the issuer without scheme and port, as IAM names providers
PROVIDER = ADDRESS


class Beside:
    """``keyless run cloud`` for the node's cluster; ``aws`` asks it as its administrator."""

    def __init__(self, node: OneNode, folder: Path) -> None:
        self.node, self.state = node, folder / "state"
        clients = aws_cli()
        assert clients is not None
        self._aws = clients / "aws"

    def up(self) -> None:
        """Start it and wait until it answers."""
        self.node.parts.start(
            "cloud", KEYLESS, "run", "cloud", "--state", self.state, "--bind-host", ADDRESS, "--port", str(PORT),
            "--names", ADDRESS, "--pods-endpoint", URL,
            "--cluster-ca", self.node.pki.folder / "ca.crt", "--propagation-delay-seconds", "0",
            environ={"KUBECONFIG": str(self.node.api.kubeconfig), "PATH": os.environ["PATH"]},
        )  # fmt: skip
        asked = ("curl", "--silent", "--cacert", self.state / "ca.crt", URL)
        self.node.parts.wait("the cloud", lambda: succeeds(*asked))
        # STS asks as nobody in particular, and a real API server shows its keys to service accounts alone until told.
        self.node.kubectl(
            "create", "clusterrolebinding", "issuer-discovery",
            "--clusterrole=system:service-account-issuer-discovery", "--group=system:unauthenticated",
        )  # fmt: skip
        self.node.parts.wait("the policy", lambda: NAME in self.node.kubectl("get", "mutatingadmissionpolicies"))

    def environ(self, *, signed: bool = True) -> dict[str, str]:
        """What a shell needs to ask it, as its administrator unless told otherwise."""
        access = json.loads((self.state / "access.json").read_text())
        keys = {"AWS_ACCESS_KEY_ID": access["accessKeyId"], "AWS_SECRET_ACCESS_KEY": access["secretAccessKey"]}
        return {
            "AWS_ENDPOINT_URL": URL,
            "AWS_REGION": access["region"],
            "AWS_DEFAULT_REGION": access["region"],
            "AWS_CA_BUNDLE": str(self.state / "ca.crt"),
            **(keys if signed else {}),
        }

    def aws(self, *words: str, signed: bool = True) -> Any:
        """What ``aws`` answers, read."""
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.state), **self.environ(signed=signed)}
        printed = said(self._aws, *words, "--output", "json", environ=environ)
        return json.loads(printed) if printed.strip() else None
