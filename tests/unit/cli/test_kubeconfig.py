"""``keyless kubeconfig`` against a host in memory: who asks enters as himself, and what he had is kept."""

from __future__ import annotations

import base64
import json
import stat
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from cryptography import x509

from keyless.cli import dispatch, exits
from keyless.kube import Forbidden, KubeObject
from keyless.kube.resources import CERTIFICATESIGNINGREQUESTS, CONTROLPLANES
from unit.space.entering.test_service import Host

SERVER = "https://ctp1.spaces.example.com"


class Laptop:
    """A person's machine with a kubeconfig for the host, and the host with its operator."""

    def __init__(self, home: Path, patch: pytest.MonkeyPatch) -> None:
        self.home, self.config, self.host, self.operated = home, home / "config", Host(), True
        self.user: KubeObject = {"username": "jane", "groups": ["team-a", "system:masters"]}
        self.config.write_text(yaml.safe_dump(self._config()))
        self.host.kube.answers["selfsubjectreviews"] = lambda _: {"status": {"userInfo": self.user}}
        self.host.kube.admit = self._admit
        self.told(api={"mode": "kubernetes", "server": SERVER, "caBundle": "Q0E="})
        self._get = self.host.kube.get
        self._patch = patch
        patch.setattr(self.host.kube, "get", self._answered)
        patch.setattr("keyless.space.entering.asking.POLL_SECONDS", 0.0)
        patch.setattr("keyless.cli.entering.connect_context", self._connect)
        # The operator's log is not the command's output.
        patch.setattr("keyless.space.entering.service._log", SimpleNamespace(info=lambda *_, **__: None))
        # The loop's own clock is noon of a day, and what it signs ends an hour later.
        patch.setattr("keyless.cli.entering.MARGIN", -self._age())
        patch.setenv("HOME", str(home))
        patch.setenv("KUBECONFIG", str(self.config))

    def told(self, **status: Any) -> None:
        known = self.host.plane["status"]
        self.host.plane = {**self.host.plane, "status": {**known, **status}}
        self.host.kube.put(CONTROLPLANES, self.host.plane)

    def run(self, *words: str) -> int:
        return dispatch(["kubeconfig", "ctp1", *words])

    def written(self, path: Path | None = None) -> Any:
        return yaml.safe_load((path or self.config).read_text())

    def requests(self) -> int:
        return len(self.host.kube.stored(CERTIFICATESIGNINGREQUESTS))

    @staticmethod
    def _age() -> Any:
        from datetime import UTC, datetime

        from unit.space.entering.test_service import NOW

        return abs(datetime.now(UTC) - NOW)

    @staticmethod
    def _config() -> KubeObject:
        return {
            "clusters": [{"name": "host", "cluster": {"server": "https://host"}}],
            "users": [{"name": "me", "user": {"token": "t", "client-certificate": "me.crt"}}],
            "contexts": [{"name": "host", "context": {"cluster": "host", "user": "me"}}],
            "current-context": "host",
        }

    def _admit(self, operation: str, plural: str, obj: KubeObject) -> KubeObject:
        if (operation, plural) == ("CREATE", "certificatesigningrequests"):
            return {**obj, "spec": {**obj["spec"], **self.user}}
        return obj

    async def _answered(self, res: Any, name: str, namespace: str | None = None) -> KubeObject:
        if res is CERTIFICATESIGNINGREQUESTS and self.operated:
            self.operated = False  # it reads by the same way
            await self.host.loop.reconcile(name)
            self.operated = True
        return await self._get(res, name, namespace)

    def _connect(self, paths: str, context: str) -> Any:
        @asynccontextmanager
        async def opened() -> Any:
            assert (paths, context) == (str(self.config), "host")
            yield self.host.kube

        return opened()


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Laptop:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return Laptop(tmp_path, monkeypatch)


def names(certificate: str) -> str:
    return x509.load_pem_x509_certificate(certificate.encode()).subject.rfc4514_string()


def test_a_context_is_added_that_asks_for_a_certificate_when_it_is_used(
    laptop: Laptop, capsys: pytest.CaptureFixture[str]
) -> None:
    before = laptop.written()
    assert laptop.run() == exits.HELD
    after = laptop.written()
    for section in ("clusters", "users", "contexts"):
        assert after[section][0] == before[section][0]
    assert after["current-context"] == "default/ctp1"
    assert after["clusters"][1]["cluster"] == {"server": SERVER, "certificate-authority-data": "Q0E="}
    asks = after["users"][1]["user"]["exec"]
    assert asks["args"][-8:] == [
        "ctp1", "--namespace", "default", "--exec", "--kubeconfig", str(laptop.config), "--context", "host",
    ]  # fmt: skip
    assert "as jane of team-a, renewed by kubectl" in capsys.readouterr().out
    assert "PRIVATE" not in laptop.config.read_text()


def test_kubectl_is_given_the_certificate_that_there_is_until_it_ends(
    laptop: Laptop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop.run()
    capsys.readouterr()
    assert laptop.run("--exec") == exits.HELD
    first = json.loads(capsys.readouterr().out)
    assert first["kind"] == "ExecCredential"
    assert names(first["status"]["clientCertificateData"]) in ("O=team-a,CN=jane", "CN=jane,O=team-a")
    assert laptop.requests() == 1
    (kept,) = (laptop.home / ".kube" / "cache" / "keyless").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    monkeypatch.setattr("keyless.cli.entering.MARGIN", Laptop._age())
    laptop.run("--exec")
    assert json.loads(capsys.readouterr().out)["status"] != first["status"]
    assert laptop.requests() == 2


@pytest.mark.parametrize("kept", ["", "[]", "{}", '{"status": {"expirationTimestamp": 7}}', '{"status": null}'])
def test_a_kept_credential_that_is_none_is_asked_for_anew(
    laptop: Laptop, capsys: pytest.CaptureFixture[str], kept: str
) -> None:
    laptop.run()
    (path,) = (laptop.home / ".kube" / "cache" / "keyless").iterdir()
    path.write_text(kept)
    capsys.readouterr()
    assert laptop.run("--exec") == exits.HELD
    assert json.loads(capsys.readouterr().out)["status"]["clientKeyData"].startswith("-----BEGIN PRIVATE")


def test_a_second_control_plane_is_asked_for_at_the_same_host(laptop: Laptop) -> None:
    assert laptop.run() == exits.HELD
    assert laptop.run("--name", "again") == exits.HELD
    assert [each["name"] for each in laptop.written()["contexts"]] == ["host", "default/ctp1", "again"]
    assert laptop.written()["users"][2]["user"]["exec"]["args"][-1] == "host"


def test_it_may_be_put_elsewhere_with_the_certificate_and_by_another_url(
    laptop: Laptop, capsys: pytest.CaptureFixture[str]
) -> None:
    other = laptop.home / "other"
    before = laptop.config.read_text()
    code = laptop.run("--file", str(other), "--embed", "--server", "https://localhost:1", "--output", "json")
    assert code == exits.HELD
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "KubeconfigContext"
    assert (told["user"], told["groups"], told["server"], told["renews"]) == (
        "jane", ["team-a"], "https://localhost:1", False,
    )  # fmt: skip
    user = laptop.written(other)["users"][0]["user"]
    assert "jane" in names(base64.b64decode(user["client-certificate-data"]).decode())
    assert laptop.config.read_text() == before


def test_it_may_be_shown_and_nothing_written(laptop: Laptop, capsys: pytest.CaptureFixture[str]) -> None:
    before = laptop.config.read_text()
    assert laptop.run("--print") == exits.HELD
    assert yaml.safe_load(capsys.readouterr().out)["current-context"] == "default/ctp1"
    assert laptop.config.read_text() == before


def test_a_logical_cluster_is_entered_as_the_hosts_own_user(laptop: Laptop, capsys: pytest.CaptureFixture[str]) -> None:
    laptop.told(api={"mode": "logical", "server": SERVER, "caBundle": ""})
    assert laptop.run() == exits.WRONG_USE
    assert "--file" in capsys.readouterr().err
    assert laptop.run("--file", str(laptop.home / "other")) == exits.HELD
    user = laptop.written(laptop.home / "other")["users"][0]["user"]
    assert user == {"token": "t", "client-certificate": str(laptop.home / "me.crt")}
    assert laptop.requests() == 0


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"api": {"mode": "attached"}}, "its API was brought"),
        ({"api": {}, "message": "waiting for etcd"}, "waiting for etcd"),
        ({"conditions": [{"type": "Ready", "status": "False", "reason": "Paused"}]}, "is paused"),
    ],
)
def test_one_that_cannot_be_entered_says_why(
    laptop: Laptop, capsys: pytest.CaptureFixture[str], status: KubeObject, words: str
) -> None:
    before = laptop.config.read_text()
    laptop.told(**status)
    assert laptop.run() == exits.DID_NOT_HOLD
    assert words in capsys.readouterr().err
    assert laptop.config.read_text() == before


def test_who_may_not_is_told_what_he_lacks(laptop: Laptop, capsys: pytest.CaptureFixture[str]) -> None:
    laptop.host.allowed = False
    assert laptop.run() == exits.DID_NOT_HOLD
    assert "create controlplanes/kubeconfig" in capsys.readouterr().err


def test_who_may_not_ask_is_told_which_right_that_takes(
    laptop: Laptop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(*_: Any, **__: Any) -> None:
        raise Forbidden({"message": "forbidden", "code": 403})

    monkeypatch.setattr(laptop.host.kube, "create", refuses)
    assert laptop.run() == exits.DID_NOT_HOLD
    assert "certificatesigningrequests on the host" in capsys.readouterr().err


def test_who_may_not_see_the_control_plane_is_told_which_right_that_takes(
    laptop: Laptop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(*_: Any, **__: Any) -> None:
        raise Forbidden({"message": "forbidden", "code": 403})

    monkeypatch.setattr(laptop.host.kube, "get", refuses)
    assert laptop.run() == exits.DID_NOT_HOLD
    assert "the right to get it on the host" in capsys.readouterr().err


def test_a_name_that_means_something_inside_is_not_asked_for(
    laptop: Laptop, capsys: pytest.CaptureFixture[str]
) -> None:
    laptop.user = {"username": "system:admin", "groups": ["system:masters"]}
    assert laptop.run() == exits.DID_NOT_HOLD
    assert "'system:admin'" in capsys.readouterr().err
    assert laptop.requests() == 0


def test_where_nobody_answers_that_is_said(laptop: Laptop, capsys: pytest.CaptureFixture[str]) -> None:
    laptop.operated = False
    assert laptop.run("--timeout", "1") == exits.OTHER_SIDE
    assert "not answered within 1 s" in capsys.readouterr().err


def test_one_that_is_not_there_is_told_with_where_they_are_listed(
    laptop: Laptop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch(["kubeconfig", "ghost"]) == exits.DID_NOT_HOLD
    assert "kubectl get controlplanes -A" in capsys.readouterr().err


def test_a_file_with_anothers_context_of_that_name_is_left_as_it_is(laptop: Laptop) -> None:
    before = laptop.config.read_text()
    assert laptop.run("--name", "host") == exits.WRONG_USE
    assert laptop.config.read_text() == before


@pytest.mark.parametrize(
    "words",
    [
        [""],
        ["Shop"],
        ["a/b"],
        ["shop\n"],
        ["ctp1", "--namespace", "Default"],
        ["ctp1", "--server", "ctp1.example.com"],
        ["ctp1", "--server", "http://ctp1.example.com"],
        ["ctp1", "--server", "https://"],
        ["ctp1", "--server", "https://jane:s3cret@ctp1.example.com"],
        ["ctp1", "--print", "--file", "other"],
        ["ctp1", "--exec", "--file", "other"],
    ],
)
def test_what_nobody_can_mean_is_refused_before_the_host_is_asked(
    laptop: Laptop, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = laptop.config.read_text()
    assert dispatch(["kubeconfig", *words]) == exits.WRONG_USE
    assert "s3cret" not in capsys.readouterr().err
    assert laptop.config.read_text() == before
    assert laptop.requests() == 0


def test_a_logical_cluster_signs_no_certificate(laptop: Laptop, capsys: pytest.CaptureFixture[str]) -> None:
    laptop.told(api={"mode": "logical", "server": SERVER, "caBundle": ""})
    assert laptop.run("--exec") != 0
    assert "leave --exec out" in capsys.readouterr().err
    assert laptop.requests() == 0


@pytest.mark.parametrize("answered", ["%%%", "AA", base64.b64encode(b"\xff\xfe").decode(), "Q0E=", 7, ["x"]])
def test_a_certificate_that_is_none_is_told(
    laptop: Laptop, answered: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    get = laptop.host.kube.get

    async def strange(resource: Any, *words: Any, **more: Any) -> KubeObject:
        found = await get(resource, *words, **more)
        return {**found, "status": {"certificate": answered}} if resource is CERTIFICATESIGNINGREQUESTS else found

    monkeypatch.setattr(laptop.host.kube, "get", strange)
    assert laptop.run() == exits.OTHER_SIDE
    assert "holds no certificate; ask again" in capsys.readouterr().err
