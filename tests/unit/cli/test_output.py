"""The one JSON form of all commands, and lines for a terminal."""

from __future__ import annotations

import importlib
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from keyless.cli import dispatch, exits
from keyless.cli.commands import COMMANDS
from keyless.cli.output import API_VERSION, KINDS, print_text, wants_colour
from keyless.identity.access import Report
from keyless.identity.explain import Answer, Question, Verdict
from keyless.identity.grants import Plan
from keyless.identity.publishing import Documents, Finding, Place, Seen
from keyless.identity.publishing import Plan as PublicationPlan
from keyless.identity.verify import Chain, verify
from keyless.kube.merging import Entry
from keyless.local.boot.running import Running
from keyless.local.cloud.audit import Audit
from keyless.local.cloud.database import Database
from keyless.local.cluster.issuers import Issuers
from keyless.local.state import State
from keyless.local.state.database import connect
from keyless.shared_secrets.fleet.model import Row
from keyless.space.entering.asking import Credential
from keyless.space.entering.names import Identity
from unit.identity.verify.chains import irsa, pod_identity

Paths = Iterator[tuple[str, Any]]
MANIFESTS = """
kind: SecretStore
metadata: {name: s}
spec: {provider: {aws: {service: SecretsManager, region: us-west-2}}}
---
kind: ExternalSecret
metadata: {name: e}
spec: {secretStoreRef: {name: s}, data: [{secretKey: k, remoteRef: {key: x}}]}
"""
LINES: dict[str, tuple[str, ...]] = {
    "secrets explain": ("-",),
    "explain": ("a/b", "s3:PutObject", "*"),
    "verify billing": ("--control-plane", "ctp1"),
    "identity tighten": ("billing",),
    "identity access": ("arn:aws:s3:::usage",),
    "issuer publish": ("s3://issuer/prod",),
    "billing verify": ("--account", "acme", "--folder", "."),
}
# They read a bucket, a folder or files, not the local Space.
STATELESS = {"billing verify", "secrets explain"}
CALL = {
    "v": 2,
    "time": "2026-11-22T07:00:00.000Z",
    "eventId": "e1",
    "requestId": "r1",
    "service": "s3",
    "action": "s3:PutObject",
    "operation": "PutObject",
    "caller": {"type": "Role", "arn": "arn:aws:sts::111122223333:assumed-role/billing/pod-1", "accessKeyId": "ASIA1"},
    "sourceIp": "127.0.0.1",
    "resources": ["arn:aws:s3:::usage/a"],
    "code": "AccessDenied",
    "decision": None,
    "notes": {},
}


# Reports read a bucket or a folder too; in an empty one nothing is missing that anybody owes.
_NOTHING = ("--account=acme", "--folder=.", "--force-incomplete")
LINES |= {
    "billing report": (*_NOTHING, "--billing-custom=2026-01-01/2026-01-01"),
    "billing capacity": (*_NOTHING, "--from=2026-01-01", "--to=2026-01-02", "--operations=3"),
}
LINES |= {"kubeconfig": ("ctp1",)}
STATELESS |= {"billing report", "billing capacity", "kubeconfig"}


def leaves(command: Any, path: str) -> Paths:
    parts = getattr(command, "commands", {})
    for name, part in parts.items():
        yield from leaves(part, f"{path} {name}")
    if not parts:
        yield path, command


def every_command() -> dict[str, Any]:
    apps = {name: importlib.import_module(entry.module).app for name, entry in COMMANDS.items()}
    return {path: found for name, app in apps.items() for path, found in leaves(typer.main.get_command(app), name)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A state folder with a call, a key and a fault, that is said to run; what needs a cluster is answered here."""
    place = tmp_path / "state"
    state = State.open(place)
    Audit(Database(state.database, state.migrate)).write(CALL)
    state.close()
    connection = connect(place)
    Issuers(connection, "https://127.0.0.1:6443").jwks("keyless")
    connection.close()
    running = Running(1, str(place), "2026-11-22T07:00:00+00:00", {"kubernetes": "https://127.0.0.1:6443"})

    async def chains(*_: Any) -> list[Chain]:
        return [Chain(one, verify(one)) for one in (irsa(), pod_identity())]

    async def answer(question: Question, _: str) -> Answer:
        return Answer(question, Verdict.UNKNOWN, "", "", tuple(verify(irsa())))

    async def secret_rows(*_: Any) -> list[Row]:
        return [Row("default", "ctp1", "Failing", version="v", failure={"requestID": "r"})]

    async def nothing(*_: Any, **__: Any) -> None:
        return None

    async def policies(*_: str) -> dict[str, Any]:
        return {"billing": {"Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}]}}

    async def asked(*_: Any, **__: Any) -> SimpleNamespace:
        return SimpleNamespace(asked=None, space=None, annotated={})

    async def reached(*_: Any) -> Report:
        return Report("arn:aws:s3:::usage", ("s3:GetObject",), (), (), (), (), ())

    async def published(*_: Any) -> Any:
        url = "https://issuer.example.org"
        found = PublicationPlan(Documents(), (Finding("a note"),))
        return Seen(url, f"{url}/keys", {}), Place("issuer", "prod", "eu-west-1"), found, ""

    async def entered(*_: Any) -> tuple[Entry, Credential]:
        ends = datetime(2026, 11, 22, tzinfo=UTC)
        return Entry("ctp1", {"server": "https://a"}, {}), Credential(Identity("jane"), "", "", ends)

    monkeypatch.setattr("keyless.cli.kubeconfig.use_local_space", lambda _: None)
    monkeypatch.setattr(
        "keyless.cli.entering.Host.of", lambda *_: SimpleNamespace(default_file=tmp_path / "kubeconfig")
    )
    monkeypatch.setattr("keyless.cli.entering.entry_of", entered)
    monkeypatch.setattr("keyless.cli.issuer._publish", published)
    monkeypatch.setattr("keyless.cli.issuer.use_local_space", lambda _: None)
    monkeypatch.setattr("keyless.cli.reaching.reached", reached)
    monkeypatch.setattr("keyless.cli.identity.use_local_space", lambda _: None)
    monkeypatch.setattr("keyless.kube.connect", lambda _: nullcontext())
    monkeypatch.setattr("keyless.cli.granting.asked_for", asked)
    monkeypatch.setattr("keyless.cli.handing_over.handed_over", lambda *_: ("helm upgrade",))
    monkeypatch.setattr("keyless.identity.grants.gather", nothing)
    monkeypatch.setattr("keyless.cli.tightening.inline_policies", policies)
    monkeypatch.setattr("keyless.identity.grants.plan", lambda *_: Plan((), (), {}, {}))
    monkeypatch.setattr("keyless.local.boot.running.read_running", lambda _: running)
    monkeypatch.setattr("keyless.cli.verify.use_local_space", lambda _: None)
    monkeypatch.setattr("keyless.cli.explain.use_local_space", lambda _: None)
    monkeypatch.setattr("keyless.cli.verify._judge", chains)
    monkeypatch.setattr("keyless.cli.fleet.use_local_space", lambda _: None)
    monkeypatch.setattr("keyless.cli.fleet._rows", secret_rows)
    monkeypatch.setattr("keyless.cli.explain._ask", answer)
    assert dispatch(["faults", "set", "throttle", "--state", str(place)]) == exits.HELD
    return str(place)


def test_a_command_with_json_names_its_kind() -> None:
    with_json = {
        path
        for path, command in every_command().items()
        if any("--output" in option.opts and "json" in (option.metavar or "") for option in command.params)
    }
    assert with_json == set(KINDS)


@pytest.mark.parametrize("command", sorted(KINDS))
def test_json_has_one_form(
    command: str, folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO(MANIFESTS))
    state = () if command in STATELESS else ("--state", folder)
    dispatch([*command.split(), *LINES.get(command, ()), *state, "--output", "json"])
    shown = json.loads(capsys.readouterr().out)
    assert list(shown)[:2] == ["apiVersion", "kind"]
    assert (shown["apiVersion"], shown["kind"]) == (API_VERSION, KINDS[command])
    assert shown["kind"].endswith("List") == ("items" in shown)
    assert shown.get("items", [1])
    # The names of ports are data, not words of ours.
    assert [key for key in keys({**shown, "endpoints": None}) if not re.fullmatch("[a-z][a-zA-Z0-9]*", key)] == []


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys(part)


@pytest.mark.parametrize("command", sorted(KINDS))
def test_another_form_than_those_is_wrong_use(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch([*command.split(), *LINES.get(command, ()), "--output", "yaml"]) == exits.WRONG_USE
    assert "expected text" in capsys.readouterr().err


def test_the_page_names_every_kind() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
    assert all(f"| `keyless {command}` | `{kind}` |" in page for command, kind in KINDS.items())
    assert API_VERSION in page


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm"}, True),
        ({"CLICOLOR": "0"}, False),
        ({"CLICOLOR": "1"}, True),
    ],
)
def test_colour_is_for_those_who_want_it(environ: dict[str, str], wanted: bool) -> None:
    assert wants_colour(environ) is wanted


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("made", "has_colour"), [(Terminal, True), (io.StringIO, False)])
def test_colour_and_folds_are_for_terminals(made: Callable[[], io.StringIO], has_colour: bool) -> None:
    stream, text = made(), f"  ok       role: {'word ' * 60}end"
    print_text(text, stream, {})
    assert ("\x1b[32mok\x1b[0m" in stream.getvalue()) is has_colour
    assert (stream.getvalue() == f"{text}\n") is not has_colour


@pytest.mark.parametrize(("long", "is_cut"), [(False, True), (True, False), (None, False)])
def test_a_line_of_a_document_is_cut_where_a_long_form_shows_it(long: bool | None, is_cut: bool) -> None:
    stream, change = Terminal(), f"           change    + {'y ' * 60}"
    print_text(change, stream, {}, long=long)
    assert (change in stream.getvalue()) is not is_cut
    assert ("--long shows them whole" in stream.getvalue()) is is_cut
