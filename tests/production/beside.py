"""The local AWS in the node's cluster, by its own manifest, and an ``aws`` that asks it as its administrator."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from guides.page import HOW_TO, blocks
from guides.reader import Reader
from production.images import ROOT
from production.network import ADDRESS
from production.node import OneNode
from production.parts import said
from tests.tools import aws_cli

KEYLESS = ROOT / ".venv" / "bin" / "keyless"
NAMESPACE = "keyless-cloud"
PAGE = "rehearse-on-your-cluster.md"
#: the issuer without scheme and port, as IAM names providers
PROVIDER = ADDRESS
_USER = 65532


class Beside:
    """The page that says how to rehearse, followed; ``aws`` asks as its administrator, at the Service's address."""

    def __init__(self, node: OneNode, folder: Path) -> None:
        self.node, self.state = node, folder
        clients = aws_cli()
        assert clients is not None
        self._aws = clients / "aws"
        self.url = ""
        self._signing: dict[str, str] = {}

    def up(self) -> None:
        """Follow the page that says how, with a volume to claim."""
        volume = self.state / "volume"
        volume.mkdir()
        os.chown(volume, _USER, _USER)
        self.node.volume("keyless-cloud", volume, claim=(NAMESPACE, "keyless-cloud"))
        self._shell = Reader(self.state / "reader")
        shutil.copytree(ROOT / "keyless-cloud", self._shell.folder / "keyless-cloud")
        self._shell.said(f"export KUBECONFIG='{self.node.api.kubeconfig}' AWS_PAGER=")
        try:
            self._shell.follow([one for one in blocks(PAGE, HOW_TO) if "remove" not in one.marks])
        finally:
            self._shell.run("kill $(cat port-forward.pid)")
        (self.state / "ca.crt").write_text((self._shell.folder / "cloud-ca.crt").read_text())
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
        self._signing = {name: self._shell.variable(name) for name in names}
        # The machine is the node: it reaches the Service itself.
        self.url = f"https://{self.node.object('service', 'keyless-cloud', '-n', NAMESPACE)['spec']['clusterIP']}"

    def down(self) -> None:
        """Follow the page to its end; nothing that it speaks of is left."""
        self._shell.follow([one for one in blocks(PAGE, HOW_TO) if "remove" in one.marks])
        kinds = "mutatingadmissionpolicies,mutatingwebhookconfigurations,clusterroles,clusterrolebindings,namespaces"
        kinds += ",deployments,daemonsets,configmaps,secrets,services,serviceaccounts"
        left = self.node.kubectl("get", kinds, "-A", "-o", "name").split()
        assert not [one for one in left if "keyless-cloud" in one or "pod-identity" in one], left

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

    def bucket(self, name: str) -> None:
        """Make a bucket."""
        self.aws("s3api", "create-bucket", "--bucket", name,
                 "--create-bucket-configuration", "LocationConstraint=us-west-2")  # fmt: skip

    def aws(self, *words: str, signed: bool = True) -> Any:
        """What ``aws`` answers, read."""
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.state), **self.environ(signed=signed)}
        printed = said(self._aws, *words, "--output", "json", environ=environ)
        return json.loads(printed) if printed.strip() else None
