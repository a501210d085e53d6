"""Controllers of others on a real API server without a node: what may be given them, and a token that is renewed."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyless.kube.resources import CLUSTERROLES, SECRETS
from keyless.space.control_planes import tenant, tokens
from keyless.space.control_planes.model import Served
from keyless.space.items import Item, Key
from production.api import Api
from production.binaries import built
from production.parts import Parts, said
from production.pki import Pki
from production.shaped import Shop, controller
from tests.tools import GUIDES, kubernetes_clients

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
SYSTEM = tenant.SYSTEM_NAMESPACE
OPERATOR = f"--as=system:serviceaccount:{SYSTEM}:operator"
ROLE = {"apiGroups": ["shop.example.org", "s3.aws.upbound.io"], "resources": ["*"], "verbs": ["*"]}


class Bare:
    """kube-apiserver and etcd, asked as the administrator."""

    def __init__(self, folder: Path) -> None:
        clients = kubernetes_clients(GUIDES)
        assert clients is not None
        self._kubectl = clients / "kubectl"
        self.parts, self.folder = Parts(folder), folder
        self.api = Api("bare", folder, built(), Pki(folder / "pki"), self.parts, port=_ports(), address="127.0.0.1")

    def kubectl(self, *words: str, given: str | None = None) -> str:
        return said(self._kubectl, "--kubeconfig", self.api.kubeconfig, *words, given=given)

    def apply(self, *items: Item, who: str = "") -> bool:
        """As the operator writes: whether all of them are taken."""
        applying = ("apply", "--server-side", "--field-manager=spaces-operator", "-f", "-", *([who] if who else []))
        return all(self._takes(applying, json.dumps(each.object)) for each in items)

    def _takes(self, words: tuple[str, ...], given: str) -> bool:
        try:
            self.kubectl(*words, given=given)
        except AssertionError as error:
            if "orbidden" not in str(error):
                raise
            return False
        return True


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    found = Bare(tmp_path_factory.mktemp("b"))
    try:
        found.api.up()
        found.kubectl("create", "namespace", SYSTEM)
        yield found
    finally:
        found.parts.end_all()


def operators(bare: Bare, controllers: dict[str, str]) -> tuple[Item, ...]:
    uid = json.loads(bare.kubectl("get", "namespace", SYSTEM, "-o", "json"))["metadata"]["uid"]
    return tenant.operator(uid, connects=False, controllers=controllers)


def bound(name: str, role: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{tenant.RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": tenant.controller_binding(name)},
        "roleRef": {"apiGroup": tenant.RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": SYSTEM}],
    }


def test_the_operator_of_an_api_that_was_brought_binds_who_is_named_and_gives_the_right_back_itself(
    bare: Bare,
) -> None:
    named = {"one": "view", "two": ""}
    bare.apply(*operators(bare, named))
    assert bare.apply(Item(CLUSTERROLES, bound("one", "view")), who=OPERATOR)
    assert not bare.apply(Item(CLUSTERROLES, bound("two", "cluster-admin")), who=OPERATOR)
    assert not bare.apply(Item(CLUSTERROLES, bound("three", "view")), who=OPERATOR)
    for name in named:
        bare.kubectl("delete", "clusterrolebinding", tenant.controller_binding(name), "--ignore-not-found", OPERATOR)
    roles = [each for each in operators(bare, {}) if "rules" in each.object]
    assert bare.apply(*roles, who=OPERATOR), "less than it has it may give itself"
    rules = json.loads(bare.kubectl("get", "clusterrole", "keyless:operator", "-o", "json"))["rules"]
    assert "keyless:controller:one" not in json.dumps(rules)
    wider = [each for each in operators(bare, named) if each.key.resource == CLUSTERROLES]
    assert not bare.apply(*wider, who=OPERATOR), "for more it needs an administrator"


def test_a_program_on_client_go_takes_the_next_token_from_the_file_beside_its_kubeconfig(
    bare: Bare, tmp_path: Path
) -> None:
    shop = Shop(bare.kubectl, bare.parts)
    shop.define()
    rights = {"apiVersion": f"{tenant.RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": "crossplane"}}
    for each in ({**rights, "rules": [ROLE]}, bound("crossplane", "crossplane")):
        bare.kubectl("apply", "-f", "-", given=json.dumps(each))
    bare.kubectl("create", "serviceaccount", "crossplane", "-n", SYSTEM)
    folder = tmp_path / "mounted"
    folder.mkdir()

    def mount() -> None:
        token = bare.kubectl("create", "token", "crossplane", "-n", SYSTEM).strip()
        ca = (bare.folder / "pki" / "ca.crt").read_text()
        now = datetime.now(UTC)
        issued = tokens.Issued(token, "uid", now, now + timedelta(hours=1))
        made = tokens.secret_item(Key(SECRETS, "s", "n"), Served(bare.api.url, ca), issued, kubeconfig="mounted")
        for name, value in made.object["data"].items():
            (folder / f".{name}").write_bytes(base64.b64decode(value))
            (folder / f".{name}").rename(folder / name)

    mount()
    bare.parts.start("shaped", controller(), environ={"KUBECONFIG": str(folder / "kubeconfig")})
    shop.claim("one", 3)
    assert "token 1" in bare.parts.words("shaped")
    began = datetime.now(UTC)
    mount()
    bare.parts.wait("the next token", lambda: "token 2" in bare.parts.words("shaped"), 120.0)
    print(f"the next token was shown after {(datetime.now(UTC) - began).total_seconds():.0f} s")
    shop.claim("two", 1)
    assert "nauthorized" not in bare.parts.words("shaped")
    for name in ("one", "two"):
        shop.unclaim(name)
    assert shop.buckets() == []
    # With its account each token ends, also the one that it shows.
    bare.kubectl("delete", "serviceaccount", "crossplane", "-n", SYSTEM)
    bare.parts.wait("the refusal", lambda: "nauthorized" in bare.parts.words("shaped"), 60.0)
    bare.parts.end("shaped")


def _ports() -> int:
    """The first of three that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
