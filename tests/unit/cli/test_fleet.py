"""``keyless secrets status`` and ``refresh``: every control plane through its own API, and one that is away."""

import base64
import json

import pytest

from keyless.api import Transient
from keyless.cli import dispatch, exits
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONTROLPLANES, EXTERNALSECRETS, NAMESPACES, SECRETS, SHAREDEXTERNALSECRETS

NAMES = ("ctp1", "ctp2")
VERSION = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def space(monkeypatch):
    host, tenants = MemoryKube(), {}
    for name in (*NAMES, "away"):
        namespace = f"mxp-{name}-system"
        status = {"controlPlaneID": name, "hostNamespace": namespace}
        host.put(NAMESPACES, {"metadata": {"name": namespace}})
        host.put(CONTROLPLANES, {"metadata": {"name": name, "namespace": "default", "uid": name}, "status": status})
        data = {"server": f"https://{name}", "ca.crt": "ca", "token": "t"}
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        host.put(
            SECRETS, {"metadata": {"name": "kubeconfig-external-secrets", "namespace": namespace}, "data": encoded}
        )
        tenants[f"https://{name}"] = MemoryKube()

    class Away(MemoryKube):
        async def list(self, *_args, **_more):
            raise Transient("https://away does not answer")

    tenants["https://away"] = Away()
    for name in NAMES:
        tenants[f"https://{name}"].put(EXTERNALSECRETS, synced())
    monkeypatch.setattr("keyless.kube.connect", lambda _: host)
    monkeypatch.setattr("keyless.kube.connect_with", lambda server, _ca, _token: tenants[server])
    monkeypatch.setattr("keyless.cli.fleet.use_local_space", lambda _: None)
    return host, tenants


def synced():
    row = {"store": "aws", "storeKind": "ClusterSecretStore", "key": "prod/db", "version": VERSION}
    return {
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "sources": [row]},
    }


def test_every_control_plane_is_a_row_and_one_that_is_away_says_why(space, capsys):
    assert dispatch(["secrets", "status", "-o", "json"]) == exits.DID_NOT_HOLD
    rows = json.loads(capsys.readouterr().out)["items"]
    assert {(row["controlPlane"], row["state"], row.get("version", "")) for row in rows} == {
        ("away", "Unreachable", ""),
        ("ctp1", "Current", VERSION),
        ("ctp2", "Current", VERSION),
    }
    assert dispatch(["secrets", "status"]) == exits.DID_NOT_HOLD
    shown = capsys.readouterr().out
    assert "default/ctp1" in shown
    assert "https://away does not answer" in shown


def test_one_control_plane_that_is_current_holds(space, capsys):
    assert dispatch(["secrets", "status", "--control-plane", "ctp1"]) == exits.HELD
    assert "ctp2" not in capsys.readouterr().out
    assert dispatch(["secrets", "status", "--control-plane", "ctp9"]) == exits.WRONG_USE
    assert "default/ctp1" in capsys.readouterr().err


def test_a_refresh_asks_where_the_secret_is_written(space, capsys):
    host, tenants = space
    host.put(SHAREDEXTERNALSECRETS, {"metadata": {"name": "database", "namespace": "default"}, "spec": {}})
    assert dispatch(["secrets", "refresh", "database"]) == exits.HELD
    assert dispatch(["secrets", "refresh", "db", "--control-plane", "ctp1", "-n", "default"]) == exits.HELD
    asked = [host.stored(SHAREDEXTERNALSECRETS)[0], tenants["https://ctp1"].stored(EXTERNALSECRETS)[0]]
    assert all("external-secrets.io/force-sync" in one["metadata"]["annotations"] for one in asked)
    assert "annotations" not in tenants["https://ctp2"].stored(EXTERNALSECRETS)[0]["metadata"]


def test_a_wait_that_is_over_names_what_was_not_seen(space, capsys):
    asked = ["secrets", "refresh", "db", "--control-plane", "ctp1", "-n", "default", "--wait", "--timeout", "1"]
    assert dispatch(asked) == exits.DID_NOT_HOLD
    assert "not seen yet default/db" in capsys.readouterr().out


@pytest.mark.parametrize("only", [("--control-plane", "ctp1"), ("-n", "default")])
def test_half_an_address_is_wrong_use(space, only):
    assert dispatch(["secrets", "refresh", "db", *only]) == exits.WRONG_USE
