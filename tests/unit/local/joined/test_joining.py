"""Beside a cluster that somebody else runs: whose node is there, what it may, and who may read logs."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Permanent
from keyless.kube import NotFound, Unreachable
from keyless.kube.kubeconfig import source_of
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONFIGMAPS, NODES
from keyless.local.cloud.serve import serve
from keyless.local.joined.cluster import address_towards, client_ca, needs_node, own_kubeconfig
from keyless.local.joined.rights import ASKED_BY, LEASE_RULES, RULES, SPACE, node_objects
from keyless.local.joined.space import provider_of
from keyless.local.node.callers import PEER, REVIEWS, ByCertificate, ByToken, named
from keyless.local.node.registration import taint
from keyless.local.node.scheduler import is_ours
from keyless.local.state import Authority


def node(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


async def test_a_node_is_made_only_where_there_is_none_of_anybody_elses() -> None:
    kube = MemoryKube()
    assert await needs_node(kube, "mine")
    kube.put(NODES, node("local-node", **{SPACE: "mine"}))
    assert await needs_node(kube, "mine"), "our own of an earlier start"
    assert not await needs_node(kube, "other")
    kube.put(NODES, node("theirs"))
    assert not await needs_node(kube, "mine")


async def test_the_authority_of_client_certificates_is_the_one_that_the_cluster_publishes() -> None:
    kube = MemoryKube()
    assert await client_ca(kube) == ""
    metadata = {"name": "extension-apiserver-authentication", "namespace": "kube-system"}
    kube.put(CONFIGMAPS, {"metadata": metadata, "data": {"client-ca-file": "PEM"}})
    assert await client_ca(kube) == "PEM"


def test_a_kubeconfig_can_be_used_from_another_folder(tmp_path: Path) -> None:
    for name in ("ca.crt", "me.crt", "me.key"):
        (tmp_path / name).write_text(name)
    given = tmp_path / "config"
    given.write_text(
        "{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], "
        "clusters: [{name: k, cluster: {server: 'https://k', certificate-authority: ca.crt}}], "
        "users: [{name: u, user: {client-certificate: me.crt, client-key: ./me.key}}]}"
    )
    moved = tmp_path / "elsewhere" / "kubeconfig"
    moved.parent.mkdir()
    moved.write_text(own_kubeconfig(given))
    assert source_of(str(moved)).endpoint() == source_of(str(given)).endpoint()
    assert source_of(str(moved)).endpoint().ca_pem == "ca.crt"


@pytest.mark.parametrize(
    ("content", "told"), [(None, "No such file"), ("[a", "it is no YAML"), ("- a", "found list"), (b"\xff\xfe\xfa", "")]
)
def test_what_is_no_kubeconfig_is_refused_without_a_word_of_it(
    tmp_path: Path, content: str | bytes | None, told: str
) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(Permanent, match=f"--cluster {path}: expected a kubeconfig") as refused:
        own_kubeconfig(path)
    assert told in str(refused.value)


@pytest.mark.parametrize("server", ["https://127.0.0.1:6443", "https://localhost", "https://[::1]:6443"])
def test_an_api_server_on_this_machine_finds_the_node_on_loopback(server: str) -> None:
    assert address_towards(server) == "127.0.0.1"


@pytest.mark.parametrize(
    ("issuer", "provider"),
    [
        ("https://127.0.0.1:6443", "127.0.0.1"),
        ("https://oidc.example.com/id/A1/", "oidc.example.com/id/A1"),
        ("https://kubernetes.default.svc.cluster.local", "kubernetes.default.svc.cluster.local"),
    ],
)
def test_an_issuer_is_named_as_iam_names_it(issuer: str, provider: str) -> None:
    assert provider_of(issuer) == provider


PODS = st.fixed_dictionaries(
    {"spec": st.fixed_dictionaries({}, optional={"nodeSelector": st.dictionaries(st.text(max_size=9), st.text())})},
)


@effort(80)
@given(PODS)
def test_a_pod_that_does_not_ask_is_never_bound(pod: dict[str, Any]) -> None:
    pod = {**pod, "metadata": {}}
    assert not is_ours(pod, ASKED_BY)
    assert is_ours(pod)
    asking = {**pod, "spec": {**pod["spec"], "nodeSelector": {ASKED_BY: "local-node"}}}
    assert is_ours(asking, ASKED_BY)


def test_whoever_schedules_there_is_kept_from_the_node_by_a_taint() -> None:
    assert taint(ASKED_BY) == {"key": "keyless.dev/node", "effect": "NoSchedule"}


def test_the_node_is_no_member_of_the_group_that_the_node_authoriser_narrows() -> None:
    subjects = [subject for _, obj in node_objects() for subject in obj.get("subjects", ())]
    assert subjects
    assert {subject["kind"] for subject in subjects} == {"ServiceAccount"}


def test_the_nodes_rights_hold_no_star_and_no_way_to_more() -> None:
    rules = [*RULES, *LEASE_RULES]
    words = {word for rule in rules for key in ("apiGroups", "resources", "verbs") for word in rule[key]}
    assert not words & {"*", "escalate", "bind", "impersonate", "pods/exec", "clusterroles", "roles"}
    writes = {verb for rule in rules if "secrets" in rule["resources"] for verb in rule["verbs"]}
    assert writes == {"get", "list", "watch"}


class Reviewing:
    """A cluster that lets one user."""

    def __init__(self, allowed: str = "", answer: Any = None) -> None:
        self.allowed, self.answer, self.asked = allowed, answer, []

    async def request(self, method: str, path: str, *, body: dict[str, Any]) -> Any:
        assert (method, path) == ("POST", REVIEWS)
        self.asked.append(body["spec"])
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        return {"status": {"allowed": body["spec"]["user"] == self.allowed}}


def scope(*subject: tuple[str, str]) -> dict[str, Any]:
    return {"headers": [], "extensions": {PEER: tuple((pair,) for pair in subject)} if subject else {}}


SERVER = (("organizationName", "a-team"), ("commonName", "kube-apiserver-kubelet-client"))


async def test_logs_are_for_a_certificate_whose_user_the_cluster_lets() -> None:
    kube = Reviewing("kube-apiserver-kubelet-client")
    judge = ByCertificate(kube, "local-node")  # type: ignore[arg-type] # of a Kube it needs no more
    assert await judge.refusal(scope(*SERVER)) is None
    assert kube.asked[0]["groups"] == ["a-team", "system:authenticated"]
    assert kube.asked[0]["resourceAttributes"] == {
        "verb": "get",
        "resource": "nodes",
        "subresource": "proxy",
        "name": "local-node",
        "version": "v1",
    }
    assert (await judge.refusal(scope(("commonName", "tenant"))))[0] == 403  # type: ignore[index] # not None: refused
    refused = await judge.refusal(scope())
    assert refused is not None
    assert refused[0] == 401
    assert "--kubelet-client-certificate" in refused[1]


@pytest.mark.parametrize(
    "answer",
    [
        Unreachable({"message": "away"}),
        NotFound({"message": "none"}),
        "text",
        {},
        {"status": None},
        {"status": {"allowed": "true"}},
    ],
)
async def test_what_the_cluster_does_not_allow_in_so_many_words_is_refused(answer: Any) -> None:
    judge = ByCertificate(Reviewing(answer=answer), "local-node")  # type: ignore[arg-type] # as above
    assert await judge.refusal(scope(*SERVER)) is not None


@effort(80)
@given(st.text(max_size=8), st.lists(st.tuples(st.just(b"authorization"), st.binary(max_size=20)), max_size=2))
def test_a_token_is_taken_whole_or_not_at_all(token: str, headers: list[tuple[bytes, bytes]]) -> None:
    refused = asyncio.run(ByToken(token).refusal({"headers": headers}))
    assert (refused is None) == (dict(headers).get(b"authorization") == f"Bearer {token}".encode())


@effort(80)
@given(st.lists(st.lists(st.lists(st.text(max_size=5), max_size=3), max_size=2), max_size=3))
def test_any_subject_names_a_user_or_nobody(subject: Sequence[Sequence[Sequence[str]]]) -> None:
    user, groups = named(subject)
    assert isinstance(user, str)
    assert isinstance(groups, tuple)


def certified(folder: Path, user: str) -> tuple[Path, Path]:
    """A self-signed client certificate, which is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths = folder / f"{user}.crt", folder / f"{user}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return paths


async def told(scope: dict[str, Any], _: Any, send: Any) -> None:
    body = json.dumps(scope["extensions"].get(PEER)).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def test_the_subject_of_a_clients_certificate_reaches_the_application(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    known, stranger = certified(tmp_path, "known"), certified(tmp_path, "stranger")
    async with serve(told, 0, "127.0.0.1", authority.server_certificate(("127.0.0.1",)), known[0]) as serving:

        async def asked(shown: tuple[Path, Path] | None) -> Any:
            context = ssl.create_default_context(cadata=authority.ca_pem)
            if shown:
                context.load_cert_chain(*shown)
            async with httpx.AsyncClient(verify=context, trust_env=False) as client:
                return (await client.get(serving.url)).json()

        assert named(await asked(known)) == ("known", ())
        assert await asked(None) is None
        with pytest.raises(httpx.HTTPError):
            await asked(stranger)
