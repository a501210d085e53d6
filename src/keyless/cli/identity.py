"""``keyless identity``: roles, trust, associations and the OIDC provider; what was never used; who reaches what."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyless.cli import exits
from keyless.cli.options import OutputOption, StateOption, require_output, state_folder, use_local_space
from keyless.cli.output import one, print_json, print_text
from keyless.cli.verify import CLUSTER_VARIABLE, ClusterOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyless.identity.grants import Asked, Have, Plan

    Planner = Callable[[Asked, Have], Plan]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Plan, apply and destroy what the components are granted in AWS.",
)

WayOption = Annotated[str, typer.Option("--way", metavar="irsa|pod-identity", help="How pods become roles.")]
ModeOption = Annotated[
    str, typer.Option("--mode", metavar="exact|system|any", help="Whom trust admits; the last two are wider.")
]
RoleOption = Annotated[str, typer.Option("--role-prefix", metavar="NAME", help="What the roles' names begin with.")]
SecretOption = Annotated[
    str, typer.Option("--secret-prefix", metavar="TEXT", help="Grant secrets and parameters with this prefix.")
]
KeyOption = Annotated[str, typer.Option("--kms-key", metavar="ARN", help="The customer key that encrypts the data.")]
BoundaryOption = Annotated[
    str, typer.Option("--permissions-boundary", metavar="ARN", help="The boundary of roles that are created.")
]
QuotaOption = Annotated[int, typer.Option("--quota", min=2048, max=8192, help="Characters of a trust policy.")]
LongOption = Annotated[bool, typer.Option("--long", help="Show every step with the documents that it changes.")]
ThenOption = Annotated[
    Path | None, typer.Option("--then", metavar="FILE", help="Write what is left to do in Kubernetes to this script.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
FORMS = ("text", "json", "cloudformation", "terraform")
FormOption = Annotated[
    str, typer.Option("--output", "-o", metavar="|".join(FORMS), help="The last two: the end of it, for other tools.")
]
TrailOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--trail", metavar="PATH", help="CloudTrail's files, or folders of them, instead of the local record."
    ),
]
KeysOption = Annotated[
    bool, typer.Option("--keys", help="Judge KMS, too; its calls through services are not recorded.")
]

ActionOption = Annotated[
    list[str] | None, typer.Option("--action", metavar="ACTION", help="Ask about this one; repeat it for several.")
]


@dataclass(frozen=True, slots=True)
class Options:
    """What the options say."""

    cluster: str
    way: str
    mode: str
    prefix: str
    secrets: str
    key: str
    boundary: str
    quota: int
    long: bool = False


@app.callback()
def identity() -> None:
    """Plan, apply and destroy what the components are granted in AWS."""


@app.command()
def plan(
    way: WayOption = "irsa",
    mode: ModeOption = "exact",
    role_prefix: RoleOption = "keyless",
    secret_prefix: SecretOption = "",
    kms_key: KeyOption = "",
    permissions_boundary: BoundaryOption = "",
    quota: QuotaOption = 2048,
    long: LongOption = False,
    cluster_name: ClusterOption = "",
    state: StateOption = None,
    output: FormOption = "text",
) -> None:
    """Show what is missing in AWS; exit code 1 if anything is."""
    from keyless.identity.grants import plan as planner

    if output not in FORMS:
        raise typer.BadParameter(f"expected {', '.join(FORMS)}, found {output!r}", param_hint="--output")
    options = Options(cluster_name, way, mode, role_prefix, secret_prefix, kms_key, permissions_boundary, quota, long)
    made = asyncio.run(_run(options, state, planner, form=output, ask=None))
    if made:
        raise typer.Exit(exits.DID_NOT_HOLD)


@app.command()
def apply(
    way: WayOption = "irsa",
    mode: ModeOption = "exact",
    role_prefix: RoleOption = "keyless",
    secret_prefix: SecretOption = "",
    kms_key: KeyOption = "",
    permissions_boundary: BoundaryOption = "",
    quota: QuotaOption = 2048,
    long: LongOption = False,
    yes: YesOption = False,
    then: ThenOption = None,
    cluster_name: ClusterOption = "",
    state: StateOption = None,
) -> None:
    """Make in AWS what is missing, after asking; again after an interruption, it goes on."""
    from keyless.identity.grants import plan as planner

    options = Options(cluster_name, way, mode, role_prefix, secret_prefix, kms_key, permissions_boundary, quota, long)
    asyncio.run(_run(options, state, planner, form="text", ask=not yes, then=then))


@app.command()
def destroy(
    way: WayOption = "irsa",
    role_prefix: RoleOption = "keyless",
    yes: YesOption = False,
    cluster_name: ClusterOption = "",
    state: StateOption = None,
) -> None:
    """Take away what `apply` made, after asking, and nothing else."""
    from keyless.identity.grants import undo

    options = Options(cluster_name, way, "exact", role_prefix, "", "", "", 2048)
    asyncio.run(_run(options, state, undo, form="text", ask=not yes))


@app.command()
def tighten(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="The role's name, or its ARN.")],
    trail: TrailOption = None,
    keys: KeysOption = False,
    state: StateOption = None,
    output: OutputOption = "text",
) -> None:
    """Show what a role's inline policies allow and it never used, as a diff to the smallest that will do."""
    from keyless.cli.tightening import inline_policies, judged, named
    from keyless.identity.tighten import render_json, render_text

    as_json = require_output(output)
    try:
        role, account = named(role)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="ROLE") from None
    for path in trail or []:
        if not path.exists():
            raise typer.BadParameter(f"{path}: no such file or folder", param_hint="--trail")
    use_local_space(state)
    policies = asyncio.run(inline_policies(role, account))
    found = judged(role, policies, trail or [], state_folder(state), keys=keys)
    if as_json:
        print_json(one("TightenedRole", render_json(role, *found)))
    else:
        print_text(render_text(role, *found))


@app.command()
def access(
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", help="The ARN of a bucket, secret, parameter, key …")],
    action: ActionOption = None,
    cluster_name: ClusterOption = "",
    state: StateOption = None,
    output: OutputOption = "text",
) -> None:
    """Show who reaches a resource: roles, their subjects, who can act as those; exit code 1 if a static key does."""
    from keyless.cli.reaching import question_of, reached
    from keyless.identity.access import in_use, is_complete, render_json, render_text

    as_json = require_output(output)
    arn, asked = question_of(resource, action or [])
    use_local_space(state)
    found = asyncio.run(reached(arn, asked, cluster_name or os.environ.get(CLUSTER_VARIABLE, "")))
    if as_json:
        print_json(one("Access", render_json(found)))
    else:
        print_text(render_text(found))
    if in_use(found.static):
        raise typer.Exit(exits.DID_NOT_HOLD)
    if not is_complete(found):
        raise typer.Exit(exits.OTHER_SIDE)


async def _run(
    options: Options, state: Path | None, planner: Planner, *, form: str, ask: bool | None, then: Path | None = None
) -> int:
    """Plan and show; apply unless ``ask`` is None. Returns how many steps the plan has."""
    from keyless.aws import Session
    from keyless.cli.granting import asked_for, standing
    from keyless.cli.handing_over import handed_over
    from keyless.identity.grants import apply as do
    from keyless.identity.grants import gather, render_json, render_text, undo
    from keyless.identity.grants.templates import cloudformation, terraform
    from keyless.kube import connect

    use_local_space(state)
    aws = Session.from_environment(os.environ)
    async with connect(os.environ) as kube:
        name = options.cluster or os.environ.get(CLUSTER_VARIABLE, "")
        request = await asked_for(options, kube, aws, name, gone=planner is undo)
    wanted = request.asked
    have = await gather(wanted, aws)
    made = planner(wanted, have)
    if planner is undo:
        made = replace(made, warnings=(*standing(request, have), *made.warnings))
    else:
        made = replace(made, then=handed_over(wanted, made, request.space, request.annotated))
    if form == "text":
        print_text(render_text(made, long=options.long))
    elif form == "json":
        print_json(one("IdentityPlan", render_json(made)))
    else:
        print_json(cloudformation(wanted, made) if form == "cloudformation" else terraform(wanted, made))
    if then is not None:
        _write(then, made.then)
    if ask is None or not made.steps:
        return len(made.steps)
    if ask and not typer.confirm("Apply these steps?"):
        raise typer.Exit(exits.DID_NOT_HOLD)
    outcome = await do(made, aws, pause=asyncio.sleep, tell=lambda step: print(f"done: {step.says}"))
    if outcome.stopped:
        raise exits.Stopped(f"{outcome.done} of {len(made.steps)} steps are done, then {outcome.stopped}")
    return len(made.steps)


def _write(script: Path, commands: Iterable[str]) -> None:
    script.write_text("".join(f"{command}\n" for command in commands), encoding="utf-8")
