"""``keyless keys``: the keys that sign service account tokens in the local clusters, and their rotation.

Keys rotate by themselves; this is for rotating now, and for a key that is lost. A running Space sees it at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyless.api import Permanent
from keyless.cli.naming import with_state
from keyless.cli.options import OutputOption, StateOption, require_output, state_folder
from keyless.cli.output import many, print_json

if TYPE_CHECKING:
    from keyless.local.cluster.keyring import Keyring, Keys

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def keys() -> None:
    """Show and rotate the keys that sign service account tokens."""


@app.command("list")
def list_(state: StateOption = None, output: OutputOption = "text") -> None:
    """List the keys of every local cluster: which signs, which waits for its turn, which retires."""
    as_json, now = require_output(output), int(time.time())
    with _opened(state_folder(state)) as keyring:
        every = [row for cluster in keyring.clusters() for row in _rows(cluster, keyring.settled(cluster, now))]
    if as_json:
        print_json(many("SigningKey", every))
        return
    for row in every:
        print(f"{row['cluster']}  {row['kid']}  {row['state']} since {row['since']}{_next(row)}")


@app.command()
def rotate(
    cluster: Annotated[str, typer.Argument(help="As `list` shows it.")] = "keyless",
    emergency: Annotated[
        bool, typer.Option("--emergency", help="The signing key is lost: void its tokens now, gap or not.")
    ] = False,
    state: StateOption = None,
) -> None:
    """Publish a successor now; it signs once every verifier may know it, and no token is refused on the way."""
    now = int(time.time())
    with _opened(state_folder(state)) as keyring:
        if cluster not in keyring.clusters():
            found = ", ".join(keyring.clusters()) or "none"
            raise Permanent(f"cluster {cluster!r} has no keys; those that have: {found}")
        before = keyring.settled(cluster, now)
        after = keyring.replace_lost(cluster, now) if emergency else keyring.rotate(cluster, now)
    if emergency:
        print(
            f"{before.signing.kid} is gone and {after.signing.kid} signs: the API server refuses the tokens of the lost"
            " key from now on, STS from its next look at the keys, an hour from now at the latest. Pods that hold one"
            " are cut off until they are replaced: `kubectl delete pods --all -A`"
        )
        return
    successor = next(row for row in _rows(cluster, after) if row["state"] == "Published")
    print(f"{successor['kid']} is published{_next(successor)}; {after.signing.kid} signs until then")


def _rows(cluster: str, keys: Keys) -> list[dict[str, Any]]:
    from keyless.local.cluster.keyring import SCHEDULE
    from keyless.tokens.rotation import next_change

    rows = []
    for key in keys.ring.keys:
        row = {"cluster": cluster, "kid": key.kid, "state": str(key.state), "since": _moment(key.since)}
        rows.append({**row, "next": _moment(next_change(key, SCHEDULE))})
    return rows


def _next(row: dict[str, Any]) -> str:
    what = {"Published": "signs from", "Signing": "its successor is published at", "Retiring": "leaves at"}
    return f", {what[row['state']]} {row['next']}"


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def _opened(folder: Path) -> Iterator[Keyring]:
    from keyless.local.cluster.keyring import Keyring
    from keyless.local.state.database import connect

    if not (folder / "state.db").exists():
        raise Permanent(
            f"no local Space was ever started in {folder}: start one with `{with_state('up --detach', folder)}`"
        )
    connection = connect(folder)
    try:
        yield Keyring(connection)
    finally:
        connection.close()
