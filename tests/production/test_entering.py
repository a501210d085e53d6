"""A team enters a control plane of its own by the page, as the host knows it; nobody does while it is paused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guides.page import HOW_TO, Block, blocks
from guides.reader import Reader
from production.node import OneNode
from production.owning import Owned

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
PAGE = "enter-a-control-plane.md"


@pytest.fixture(scope="module")
def shop(space: OneNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owned]:
    """Control plane ``shop``, ready."""
    found = Owned(space, "shop", tmp_path_factory.mktemp("o"))
    found.create()
    yield found
    found.delete()


class Person:
    """Somebody whom the host knows by a certificate, at a shell of his own."""

    def __init__(self, space: OneNode, folder: Path, name: str, *groups: str) -> None:
        space.pki.certify(name, user=name, groups=groups)
        folder.mkdir(mode=0o700)
        self.reader = Reader(folder)
        (folder / "config").write_bytes(space.pki.kubeconfig(name, space.api.url).read_bytes())
        self.reader.said(f"export KUBECONFIG={folder}/config")

    def follow(self, *page: Block) -> str:
        self.reader.follow([*page])
        return self.reader.transcript[-1]


def test_a_team_enters_by_the_page_and_others_do_not(shop: Owned, tmp_path: Path) -> None:
    space = shop.space
    admin = Person(space, tmp_path / "a", "root", "system:masters")
    jane = Person(space, tmp_path / "j", "jane", "team-a")
    ann = Person(space, tmp_path / "n", "ann", "team-a", "auditors")
    joe = Person(space, tmp_path / "o", "joe", "team-b")
    letting, entering, giving, taking = blocks(PAGE, HOW_TO)

    admin.follow(letting)
    space.parts.wait("the binding inside", lambda: "keyless:admins" in shop.kubectl("get", "clusterrolebindings"))
    told = jane.follow(entering)
    assert "jane" in told
    assert "team-a" in told
    jane.follow(giving)
    # Helm takes the same credential, and keeps its releases inside.
    assert "NAMESPACE" in jane.reader.said("helm list -A")
    assert "masters" not in jane.reader.said("kubectl auth whoami")
    assert "jane" in jane.reader.said("kubectl --context one auth whoami")  # the host's, which is still there

    refused = joe.reader.run("keyless kubeconfig shop")
    assert refused.returncode == 1
    assert "forbidden" in refused.stdout.lower()

    # Whoever administers the host has no right inside by that.
    admin.reader.said("keyless kubeconfig shop")
    forbidden = admin.reader.run("kubectl get namespaces")
    assert "root" in forbidden.stdout
    assert "forbidden" in forbidden.stdout

    ann.reader.said("keyless kubeconfig shop --embed")
    assert "web" in ann.reader.said("kubectl get namespaces")
    admin.reader.said("kubectl config use-context one")
    admin.follow(taking)
    space.parts.wait("the right to end", lambda: "forbidden" in ann.reader.run("kubectl get namespaces").stdout, 60.0)
    assert "No resources" in ann.reader.said("kubectl get pods -n web")  # of the auditors, by RBAC inside
    denied = jane.reader.run("keyless kubeconfig shop --context one")
    assert denied.returncode == 1


def test_one_that_is_paused_runs_nothing_keeps_all_and_lets_nobody_in(shop: Owned, tmp_path: Path) -> None:
    space = shop.space
    admin = Person(space, tmp_path / "p", "root2", "system:masters")
    shop.kubectl("create", "configmap", "kept", "-n", "default", "--from-literal=a=b")
    patch = ("patch", "controlplane", "shop", "-n", "default", "--type", "merge", "-p")
    space.kubectl(*patch, '{"spec":{"crossplane":{"state":"Paused"}}}')
    space.parts.wait("the pause", lambda: _reason(shop) == "Paused" and bool(_status(shop).get("pauses")), 120.0)
    assert space.object("pods", "-n", shop.namespace)["items"] == []
    claim = space.object("persistentvolumeclaim", "data-control-plane-0", "-n", shop.namespace)
    assert claim["status"]["phase"] == "Bound"
    denied = admin.reader.run("keyless kubeconfig shop")
    assert denied.returncode == 1
    assert "paused" in denied.stdout
    space.kubectl(*patch, '{"spec":{"crossplane":{"state":"Running"}}}')
    shop.wait("Ready", "True")
    assert json.loads(shop.kubectl("get", "configmap", "kept", "-n", "default", "-o", "json"))["data"] == {"a": "b"}
    (pause,) = _status(shop)["pauses"]
    assert pause["from"] < pause["to"]


def test_one_that_is_protected_is_not_deleted_before_its_protection_is_taken_away(
    space: OneNode, tmp_path: Path
) -> None:
    own = Owned(space, "kept", tmp_path)
    own.create()
    space.kubectl("annotate", "controlplane", "kept", "-n", "default", "keyless.dev/deletion-protection=true")
    for what in (("controlplane", "kept", "-n", "default"), ("namespace", own.namespace)):
        # The host namespace is marked by the operator, a moment later.
        space.parts.wait(
            f"{what[0]} to be kept", lambda what=what: "keyless.dev/deletion-protection" in _no(space, *what)
        )
    assert own.answers("get", "namespaces")
    space.kubectl("annotate", "controlplane", "kept", "-n", "default", "keyless.dev/deletion-protection-")
    own.delete()
    assert not space.kubectl("get", "namespace", own.namespace, "--ignore-not-found")


def _no(space: OneNode, *what: str) -> str:
    """What kubectl says of a deletion that is refused: as a dry run, which admission policies see, too."""
    try:
        space.kubectl("delete", *what, "--dry-run=server")
    except AssertionError as error:
        return str(error)
    return ""


def _status(own: Owned) -> dict[str, Any]:
    return dict(own.space.object("controlplane", own.name, "-n", "default")["status"])


def _reason(own: Owned) -> str:
    conditions: list[dict[str, str]] = _status(own)["conditions"]
    return next((each["reason"] for each in conditions if each["type"] == "Ready"), "")
