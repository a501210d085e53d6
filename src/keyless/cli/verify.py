"""``keyless verify``: the Space itself, and for billing and shared secrets the chain of every control plane."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyless.cli import exits
from keyless.cli.options import LongOption, OutputOption, StateOption, require_output, use_local_space
from keyless.cli.output import many, print_json, print_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyless.identity.verify import Chain, Needs, Subject
    from keyless.kube import Kube
    from keyless.space.checking import Check

    NeedsFactory = Callable[[Kube], Needs]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Walk the chain from Helm value to AWS and name the first link that does not hold.",
)

# The guides' own variable; `keyless env`, and the local Space, set it.
CLUSTER_VARIABLE = "YOUR_CLUSTER_NAME"
_WATCH_SECONDS = 5.0

NameOption = Annotated[str, typer.Option("--control-plane", metavar="NAME", help="Only this one (default: all).")]
GroupOption = Annotated[
    str, typer.Option("--group", metavar="GROUP", help="Only this group (default: all; with --control-plane: default).")
]
ClusterOption = Annotated[
    str,
    typer.Option(
        "--cluster-name", envvar=CLUSTER_VARIABLE, metavar="NAME", help="The EKS cluster's name, if it is one."
    ),
]
WatchOption = Annotated[
    bool, typer.Option("--watch", "-w", help="Go on until interrupted, and tell each link that changes.")
]


WaitOption = Annotated[
    float, typer.Option("--wait-seconds", metavar="SECONDS", min=0, help="How long to wait until everything holds.")
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say."""

    state: Path | None
    name: str
    group: str
    cluster: str
    as_json: bool
    long: bool = False
    watch: bool = False
    wait_seconds: float = 0


@app.callback()
def verify() -> None:
    """Walk the chain from Helm value to AWS and name the first link that does not hold."""


def _of_control_planes(name: str, told: str, run: Callable[[Asked], None]) -> None:
    """A command that verifies a component of every control plane, or of one."""

    @app.command(name, help=told)
    def command(
        control_plane: NameOption = "",
        group: GroupOption = "",
        cluster_name: ClusterOption = "",
        state: StateOption = None,
        output: OutputOption = "text",
        long: LongOption = False,
        watch: WatchOption = False,
        wait_seconds: WaitOption = 0,
    ) -> None:
        run(Asked(state, control_plane, group, cluster_name, require_output(output), long, watch, wait_seconds))


def _billing(asked: Asked) -> None:
    from keyless.cli.verifying import BILLING, billing_access
    from keyless.identity.verify import Needs

    _run(asked, BILLING, lambda _: Needs(billing_access))


def _shared_secrets(asked: Asked) -> None:
    from keyless.cli.verifying import SHARED_SECRETS, secrets_access, secrets_bounds
    from keyless.identity.verify import Needs

    _run(asked, SHARED_SECRETS, lambda kube: Needs(secrets_access(kube), secrets_bounds))


def _backup(asked: Asked) -> None:
    from keyless.cli.verifying import BACKUP, backup_access
    from keyless.identity.verify import Needs

    _run(asked, BACKUP, lambda kube: Needs(backup_access(kube)))


def _encryption(asked: Asked) -> None:
    from keyless.cli.verifying import ENCRYPTION, encryption_access
    from keyless.identity.verify import Needs

    _run(asked, ENCRYPTION, lambda kube: Needs(encryption_access(kube)))


_of_control_planes("billing", "Verify that usage reaches the billing bucket by workload identity.", _billing)
_of_control_planes("shared-secrets", "Verify that shared secrets are read by workload identity.", _shared_secrets)
_of_control_planes("backup", "Verify that snapshots of control planes are stored by workload identity.", _backup)
_of_control_planes("encryption", "Verify that a KMS key encrypts Secrets of control planes.", _encryption)


@app.command("billing-export")
def billing_export(
    cluster_name: ClusterOption = "",
    state: StateOption = None,
    output: OutputOption = "text",
    long: LongOption = False,
    watch: WatchOption = False,
    wait_seconds: WaitOption = 0,
) -> None:
    """Verify that closed months are exported by the schedule, with workload identity."""
    from keyless.cli.verifying import EXPORT_SUBJECT, export_access_of
    from keyless.identity.verify import Needs

    asked = Asked(state, "", "", cluster_name, require_output(output), long, watch, wait_seconds)
    _run(asked, EXPORT_SUBJECT, lambda _: Needs(export_access_of))


@app.command()
def space(
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Where the chart is installed.")
    ] = "default",
    wait_seconds: WaitOption = 0,
    state: StateOption = None,
) -> None:
    """Verify that the Space itself is installed whole: values, operator, lease, definitions."""
    use_local_space(state)
    checks = asyncio.run(_installed(namespace, wait_seconds))
    print_text("\n".join(f"{'ok' if each.holds else 'FAILED'}  {each.name}: {each.said}" for each in checks))
    if not all(each.holds for each in checks):
        raise typer.Exit(exits.DID_NOT_HOLD)


async def _installed(namespace: str, wait_seconds: float) -> tuple[Check, ...]:
    from keyless.cli.waiting import waited
    from keyless.kube import connect
    from keyless.space.checking import check

    async with connect(os.environ) as kube:
        return await waited(lambda: check(kube, namespace), lambda found: all(one.holds for one in found), wait_seconds)


def _run(asked: Asked, subject: Subject, needs: NeedsFactory) -> None:
    from keyless.identity.verify import render_json, render_text

    if asked.watch and asked.as_json:
        raise typer.BadParameter("is for people: a program asks again", param_hint="--watch")
    if asked.watch and asked.wait_seconds:
        raise typer.BadParameter("goes on until interrupted: leave --wait-seconds out", param_hint="--watch")
    use_local_space(asked.state)
    chains = asyncio.run(_held(asked, subject, needs))
    if asked.as_json:
        print_json(many("Verification", render_json(chains)))
    else:
        print_text(render_text(chains), long=asked.long)
    if asked.watch:
        chains = _watch(asked, subject, needs, chains)
    if code := code_of([chain.verdict for chain in chains]):
        raise typer.Exit(code)


async def _held(asked: Asked, subject: Subject, needs: NeedsFactory) -> list[Chain]:
    """The chains once all of them hold, or as they are when the wait is over."""
    from keyless.cli.waiting import waited

    return await waited(
        lambda: _judge(asked, subject, needs),
        lambda chains: code_of(chain.verdict for chain in chains) == exits.HELD,
        asked.wait_seconds,
    )


def _watch(asked: Asked, subject: Subject, needs: NeedsFactory, chains: list[Chain]) -> list[Chain]:
    """Until interrupted; returns how it stands then."""
    from keyless.cli.watching import watched

    stands = chains

    async def look() -> list[Chain]:
        return await _judge(asked, subject, needs)

    async def watching() -> None:
        nonlocal stands
        async for found, told in watched(look, chains, lambda: asyncio.sleep(_WATCH_SECONDS)):
            stands = list(found)
            print_text("\n".join(f"{time.strftime('%H:%M:%S')}  {line}" for line in told), long=asked.long)

    # The way to end a watch.
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(watching())
    return stands


def code_of(verdicts: Iterable[str]) -> int:
    """One that certainly does not hold is told by the code whatever was not seen of the others."""
    codes = {exits.OF_VERDICT[verdict] for verdict in verdicts}
    return next((code for code in (exits.DID_NOT_HOLD, exits.OTHER_SIDE) if code in codes), exits.HELD)


async def _judge(asked: Asked, subject: Subject, needs: NeedsFactory) -> list[Chain]:
    from keyless.aws import Session
    from keyless.identity.verify import Chain, Chosen, Sources, gather
    from keyless.identity.verify import verify as judge
    from keyless.kube import connect

    async with connect(os.environ) as kube:
        cluster = asked.cluster or os.environ.get(CLUSTER_VARIABLE, "")
        sources = Sources(kube, Session.from_environment(os.environ), cluster)
        facts = await gather(sources, subject, Chosen(asked.name, asked.group), needs(kube), time.time())
    return [Chain(one, judge(one)) for one in facts]
