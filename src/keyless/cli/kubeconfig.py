"""``keyless kubeconfig``: a context of kubectl that leads into a control plane, as whoever runs it.

Nobody is given a credential of somebody else. On an API server of the Space's own it is a certificate for an hour,
which kubectl has renewed by running this command again (``--exec``); a logical cluster takes the host's own credential.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyless.cli.exits import DID_NOT_HOLD
from keyless.cli.options import OutputOption, require_output, use_local_space
from keyless.cli.output import one, print_json, print_text

if TYPE_CHECKING:
    from keyless.kube.merging import Entry
    from keyless.space.entering.asking import Credential

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_URL = re.compile(r"https://(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?(?:/[!-~]*)?", re.ASCII)

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def kubeconfig(
    control_plane: Annotated[str, typer.Argument(metavar="CONTROLPLANE", help="Its name.")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Its group on the host.")] = "default",
    kubeconfig: Annotated[
        str, typer.Option("--kubeconfig", metavar="FILE", help="How the host is reached (default: as kubectl).")
    ] = "",
    context: Annotated[str, typer.Option(help="Which context of it (default: the current one).")] = "",
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Where the context goes (default: as kubectl).")
    ] = None,
    name: Annotated[str, typer.Option(help="What it is called (default: NAMESPACE/CONTROLPLANE).")] = "",
    server: Annotated[str, typer.Option(metavar="URL", help="By which URL it is called, through a tunnel say.")] = "",
    embed: Annotated[
        bool, typer.Option("--embed", help="Put the certificate into the file, for who lacks this program.")
    ] = False,
    print_: Annotated[bool, typer.Option("--print", help="Print it as a kubeconfig and write no file.")] = False,
    exec_: Annotated[bool, typer.Option("--exec", help="Print a credential as kubectl asks for it.")] = False,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds to wait for the certificate.")] = 30.0,
    output: OutputOption = "text",
) -> None:
    """Write a context for kubectl that enters a control plane as you, with the rights that RBAC there gives you."""
    from keyless.api import Permanent
    from keyless.cli.entering import Host, Question, credential_of, entry_of
    from keyless.space.entering.asking import NotLetIn

    as_json = require_output(output)
    _require_names(control_plane, namespace, server)
    if file is not None and (print_ or exec_):
        raise typer.BadParameter(
            "nothing is written with --print or --exec: leave one of them out", param_hint="--file"
        )
    if not kubeconfig:
        use_local_space(None)
    question = Question(control_plane, namespace, name or f"{namespace}/{control_plane}", server, embed=embed)
    try:
        host = Host.of(kubeconfig, context, os.environ)
        if exec_:
            print_json(asyncio.run(credential_of(host, question, timeout)))
            return
        entry, credential = asyncio.run(entry_of(host, question, timeout))
        path = None if print_ else file or host.default_file
        if credential is None and path is not None and host.reads(path):
            # A local Space finds itself by its kubeconfig's current context.
            raise Permanent(f"{path} is the host's own and stays as it is: --file names another, --print shows it")
        _give(entry, credential, path, as_json=as_json)
    except NotLetIn as error:
        print(f"keyless: {error}", file=sys.stderr)
        raise typer.Exit(DID_NOT_HOLD) from None


def _require_names(control_plane: str, namespace: str, server: str) -> None:
    for hint, given in (("CONTROLPLANE", control_plane), ("--namespace", namespace)):
        if not _NAME.fullmatch(given):
            expected = "lower case letters, digits and '-', as Kubernetes takes it"
            raise typer.BadParameter(f"expected a name of {expected}, found {given!r}", param_hint=hint)
    if server and not _URL.fullmatch(server):
        # What stands before an @ in it may be a password, so that it is not shown.
        raise typer.BadParameter(
            "expected https://HOST, with a port and a path where they are needed", param_hint="--server"
        )


def _give(entry: Entry, credential: Credential | None, path: Path | None, *, as_json: bool) -> None:
    from keyless.kube.merging import document_of, merge_into

    if path is None:
        import yaml

        print_json(document_of(entry)) if as_json else print(yaml.safe_dump(document_of(entry), sort_keys=False))
        return
    merge_into(path, entry)
    if as_json:
        print_json(one("KubeconfigContext", _told(entry, credential, path)))
    else:
        print_text(_sentence(entry, credential, path))


def _told(entry: Entry, credential: Credential | None, path: Path) -> dict[str, Any]:
    from keyless.kube import timestamp

    told: dict[str, Any] = {"file": str(path), "context": entry.name, "server": entry.cluster["server"]}
    if credential is not None:
        told |= {"user": credential.identity.user, "groups": list(credential.identity.groups)}
        told |= {"expiresAt": timestamp(credential.expires_at), "renews": "exec" in entry.user}
    return told


def _sentence(entry: Entry, credential: Credential | None, path: Path) -> str:
    who = "as the host's own user"
    if credential is not None:
        groups = ", ".join(credential.identity.groups)
        who = f"as {credential.identity.user}{f' of {groups}' if groups else ''}"
        until = f"until {credential.expires_at:%Y-%m-%dT%H:%M:%SZ}"
        who += ", renewed by kubectl" if "exec" in entry.user else f", {until}"
    return f"context {entry.name} of {path} is current: {entry.cluster['server']} {who}"
