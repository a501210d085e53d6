"""A control plane of its own is entered from outside, by the name that its values give it, over what passes TLS on."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from production.beside import KEYLESS
from production.node import OneNode
from production.owning import Owned, set_values
from production.passing import ANNOTATION, CLASS, GATEWAY, ROUTES, VALUE, Passing, definition
from tests.tools import GUIDES, kubernetes_clients

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
NAME = "routed.default.spaces.example.com"
AT = "controlPlanes.kubernetes.service"
# Helm takes a value that begins with a brace for a list.
HOSTNAME = f"{AT}.hostname=\\{{name}}.{{group}}.spaces.example.com"
ESCAPED = ANNOTATION.replace(".", r"\.")


@pytest.fixture
def passing(space: OneNode) -> Iterator[Passing]:
    found = Passing(space)
    found.up()
    yield found
    found.down()


@pytest.fixture
def routed(space: OneNode, tmp_path: Path) -> Iterator[Owned]:
    found = Owned(space, "routed", tmp_path)
    space.kubectl("apply", "-f", "-", given=json.dumps(definition()))
    yield found
    found.delete()
    set_values(space)
    space.kubectl("delete", "crd", ROUTES)


def asked(own: Owned, passing: Passing, kubeconfig: Path, *words: str) -> str:
    """What kubectl prints whose every call goes to the passer; the kubeconfig is as it was written."""
    clients = kubernetes_clients(GUIDES)
    assert clients is not None
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(own.volume.parent),
        "HTTPS_PROXY": f"http://127.0.0.1:{passing.port}",
    }
    done = subprocess.run(
        [clients / "kubectl", "--kubeconfig", kubeconfig, *words],
        env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_callers_from_outside_reach_it_by_its_name_through_an_ingress_and_through_a_gateway(
    space: OneNode, routed: Owned, passing: Passing, tmp_path: Path
) -> None:
    set_values(space, HOSTNAME, f"{AT}.ingress.className={CLASS}", f"{AT}.ingress.annotations.{ESCAPED}={VALUE}")
    routed.create()
    # The connection's kubeconfig leads there, and the certificate bears the name.
    assert f"https://{NAME}" in routed.kubeconfig.read_text()
    assert "kube-system" in asked(routed, passing, routed.kubeconfig, "get", "namespaces")
    assert set(passing.passed) == {(NAME, "ingresses")}

    # So does a person's own: known by a certificate, which whoever ended TLS would take away.
    mine = tmp_path / "mine"
    told = ("--kubeconfig", space.api.kubeconfig, "--file", mine, "--embed")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run([KEYLESS, "kubeconfig", "routed", *told], env=environ, check=True, capture_output=True, timeout=90)
    assert f"https://{NAME}" in mine.read_text()
    who = asked(routed, passing, mine, "auth", "whoami")
    assert "admin" in who
    assert "forbidden" not in who.lower()

    # The same by a Gateway; the Ingress goes.
    set_values(space, HOSTNAME, f"{AT}.gateway.name={GATEWAY}", f"{AT}.gateway.namespace=default")
    space.kubectl("wait", f"{ROUTES}/control-plane", "-n", routed.namespace, "--for=create", "--timeout=90s")
    space.parts.wait("the ingress to go", lambda: not space.object("ingresses", "-n", routed.namespace)["items"])
    passing.passed.clear()
    assert "kube-system" in asked(routed, passing, routed.kubeconfig, "get", "namespaces")
    assert set(passing.passed) == {(NAME, "tlsroutes")}

    # Without either nobody leads there, and the connection's Secret names the Service again.
    set_values(space)
    space.parts.wait("the route to go", lambda: not space.object(ROUTES, "-n", routed.namespace)["items"])

    def leads_inside() -> bool:
        data = space.object("secret", "routed", "-n", "default")["data"]
        return NAME not in base64.b64decode(data["server"]).decode()

    space.parts.wait("the connection to lead inside", leads_inside)
    assert "kube-system" not in asked(routed, passing, routed.kubeconfig, "get", "namespaces")
