"""The release that nobody installed, upgraded by real helm on the local Kubernetes API."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.generate.chart_page import values

from keyless.identity.verify import model as verify
from keyless.identity.verify.values import Value, upgrade
from keyless.local.boot.release import installed
from keyless.local.cluster import Cluster, ClusterSettings
from keyless.local.cluster.serve import serve
from keyless.local.state import State

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FIRST = ("--set", "billing.enabled=true", "--set", "billing.storage.provider=aws")


@dataclass
class Space:
    """A cluster with the carried release, and helm pointed at it."""

    cluster: Cluster
    server: str
    ca_file: Path
    run: Callable

    async def helm(self, *arguments: str) -> str:
        where = ("--kube-apiserver", self.server, "--kube-ca-file", str(self.ca_file))
        flags = ("--namespace", "default", "--kube-token", "the-admin-token", *where)
        code, out, errors = await self.run(*arguments, *flags)
        assert code == 0, errors
        return str(out)

    async def values(self) -> dict[str, Any]:
        answer = await self.cluster.call("keyless", "GET", "/api/v1/namespaces/default/configmaps/spaces-values")
        return dict(json.loads(answer.body["data"]["values.json"]))


@pytest.fixture
async def space(helm: Callable, tmp_path: Path) -> AsyncIterator[Space]:
    async with contextlib.AsyncExitStack() as stack:
        state = stack.enter_context(contextlib.closing(State.open(tmp_path / "state")))
        ca_file = tmp_path / "ca.crt"
        ca_file.write_text(state.authority.ca_pem)
        settings = ClusterSettings(
            database=state.database,
            server_url="https://127.0.0.1",
            admin_token="the-admin-token",
            kubelet_token="the-kubelet-token",
            ca_pem=state.authority.ca_pem,
            now=lambda: datetime.now(UTC),
        )
        cluster = Cluster(settings)
        stack.push_async_callback(cluster.aclose)
        release = installed(NOON)
        for obj in release.objects:
            await _create(cluster, obj)
        await _create(cluster, release.secret)
        certificate, key = state.authority.server_certificate(["127.0.0.1"])
        # helm refuses to show a token to a server without TLS
        serving = await serve(cluster, "127.0.0.1", 0, str(certificate), str(key))
        stack.push_async_callback(serving.stop)
        yield Space(cluster, f"https://127.0.0.1:{serving.port}", ca_file, helm)


async def _create(cluster: Cluster, obj: dict[str, Any]) -> None:
    group, _, version = obj["apiVersion"].rpartition("/")
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    namespace = "" if obj["kind"].startswith("Cluster") else "/namespaces/default"
    answer = await cluster.call("keyless", "POST", f"{root}{namespace}/{obj['kind'].lower()}s", obj)
    assert answer.status == 201, answer.body


async def test_helm_sees_a_deployed_release(space: Space) -> None:
    (listed,) = json.loads(await space.helm("list", "-o", "json"))
    assert (listed["name"], listed["status"], listed["chart"]) == ("spaces", "deployed", "spaces-0.1.0")
    assert listed["updated"].startswith("2026-11-22 12:00:00")
    assert json.loads(await space.helm("get", "values", "spaces", "-o", "json")) == {}


async def test_a_plain_upgrade_changes_the_values_and_nothing_else(space: Space) -> None:
    before = await space.helm("get", "manifest", "spaces")
    await space.helm("upgrade", "spaces", "spaces-helm-chart", *FIRST)
    assert (await space.values())["billing"]["enabled"] is True
    after = await space.helm("get", "manifest", "spaces")
    changed = [pair for pair in zip(before.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]]
    assert len(changed) == 1
    history = json.loads(await space.helm("history", "spaces", "-o", "json"))
    assert [each["status"] for each in history] == ["superseded", "deployed"]


async def test_a_second_upgrade_drops_the_first_ones_values_unless_asked_to_reuse_them(space: Space) -> None:
    await space.helm("upgrade", "spaces", "spaces-helm-chart", *FIRST)
    await space.helm("upgrade", "spaces", "spaces-helm-chart", "--set", "account=acme", "--reuse-values")
    kept = await space.values()
    assert (kept["billing"]["enabled"], kept["account"]) == (True, "acme")
    await space.helm("upgrade", "spaces", "spaces-helm-chart", "--set", "sharedSecrets.enabled=true")
    assert (await space.values())["billing"]["enabled"] is False


async def test_what_is_set_to_null_hinders_no_later_upgrade(space: Space) -> None:
    """Helm keeps the null of a value that was never set, and holds the next upgrade's values to the schema with it."""
    schema = json.loads(Path("spaces-helm-chart/values.schema.json").read_text(encoding="utf-8"))
    paths = [each.path for each in values(schema) if not each.section and "[]" not in each.path]
    assert "controlPlanes.backup.serviceAccount.customAnnotations" in paths
    nulls = [word for path in paths for word in ("--set", f"{path}=null")]
    for flags in (nulls, ["--set", "account=acme"]):
        await space.helm("upgrade", "spaces", "spaces-helm-chart", "--reuse-values", *flags)
    assert (await space.values())["account"] == "acme"


async def test_the_printed_command_takes_a_value_away_for_good(space: Space) -> None:
    """With ``--reuse-values`` helm would let what was set before stand."""
    key = r"controlPlanes.vector.serviceAccount.customAnnotations.eks\.amazonaws\.com/role-arn"
    role = "arn:aws:iam::111122223333:role/billing"
    await space.helm("upgrade", "spaces", "spaces-helm-chart", "--set", "account=acme", "--set", f"{key}={role}")
    here = verify.Space({}, (), frozenset())
    _, _, *words = shlex.split(upgrade(here, {key: Value(None)}))
    await space.helm("upgrade", *words)
    for _ in range(2):
        kept = await space.values()
        assert kept["account"] == "acme"
        assert not kept["controlPlanes"]["vector"]["serviceAccount"]["customAnnotations"]
        await space.helm("upgrade", "spaces", "spaces-helm-chart", "--reuse-values")


async def test_a_rollback_brings_the_first_values_back(space: Space) -> None:
    await space.helm("upgrade", "spaces", "spaces-helm-chart", *FIRST)
    await space.helm("rollback", "spaces", "1")
    assert (await space.values())["billing"]["enabled"] is False


async def test_uninstalling_removes_what_was_never_installed_by_helm(space: Space) -> None:
    # Without its hook, a pod: there is no node here to run it.
    await space.helm("uninstall", "spaces", "--no-hooks")
    answer = await space.cluster.call("keyless", "GET", "/api/v1/namespaces/default/configmaps/spaces-values")
    assert answer.status == 404
    assert json.loads(await space.helm("list", "-o", "json")) == []
