"""``keyless explain``: may a service account do something, and which statement of which policy says so."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from keyless.api import Permanent
from keyless.cli import exits
from keyless.cli.installed import has_local
from keyless.cli.naming import with_state
from keyless.cli.options import LongOption, OutputOption, StateOption, require_output, state_folder, use_local_space
from keyless.cli.output import one, print_json, print_text
from keyless.cli.verify import CLUSTER_VARIABLE, ClusterOption

if TYPE_CHECKING:
    from keyless.identity.explain import Answer, Question
    from keyless.identity.explain.checking import Checked
    from keyless.policy import ContextValue

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

PAGE_LINES = 1000
_SUBJECT = "system:serviceaccount:"


@app.command()
def explain(
    service_account: Annotated[
        str, typer.Argument(metavar="SERVICEACCOUNT", help="As namespace/name, or as sub of its tokens.")
    ] = "",
    action: Annotated[str, typer.Argument(metavar="ACTION", help="Such as s3:PutObject.")] = "",
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", help='An ARN, or "*".')] = "",
    context: Annotated[
        list[str] | None,
        typer.Option("--context", metavar="KEY=VALUE", help="A condition key of the call; repeat it for many values."),
    ] = None,
    event: Annotated[
        str, typer.Option("--event", metavar="ID", help="Explain a call of the local cloud's record instead.")
    ] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Compare with AWS's own simulator (iam:SimulatePrincipalPolicy).")
    ] = False,
    cluster_name: ClusterOption = "",
    state: StateOption = None,
    output: OutputOption = "text",
    long: LongOption = False,
) -> None:
    """Say whether a service account may do something, and why: exit code 0 Allowed, 1 Denied, 3 Unknown."""
    as_json = require_output(output)
    if event:
        if service_account:
            raise typer.BadParameter("give either --event or SERVICEACCOUNT ACTION RESOURCE, not both")
        _explain_event(_find(state_folder(state), event), as_json=as_json)
        return
    question = question_of((service_account, action, resource), context or [])
    use_local_space(state)
    question = replace(question, doubt=warn_of_unlisted(question.action))
    cluster = cluster_name or os.environ.get(CLUSTER_VARIABLE, "")
    if check:
        answer, checked = asyncio.run(_ask_and_check(question, cluster))
        _show(answer, as_json=as_json, long=long, checked=checked)
        return
    _show(asyncio.run(_ask(question, cluster)), as_json=as_json, long=long)


def warn_of_unlisted(action: str) -> str:
    """A misspelt action is denied everywhere, and for no reason that a policy could show; the warning, if any.

    The list of all actions comes with the local Space: where that is not installed nothing is warned of.
    """
    if not has_local():
        return ""
    from keyless.local.cloud.iam.known_actions import unlisted

    if warning := unlisted(action):
        typer.echo(f"keyless: {warning}", err=True)
    return warning


def question_of(words: tuple[str, str, str], context: list[str]) -> Question:
    """The question that the arguments ask; wrong use where they ask none."""
    from keyless.api import Arn
    from keyless.identity.explain import Question

    service_account, action, resource = words
    # As sub of a token has it, and as kubectl auth can-i --as takes it.
    namespace, slash, name = service_account.partition("/")
    if service_account.startswith(_SUBJECT):
        namespace, slash, name = service_account.removeprefix(_SUBJECT).partition(":")
    if not (namespace and slash and name) or "/" in name or ":" in f"{namespace}{name}":
        expected = f"expected namespace/name or {_SUBJECT}namespace:name"
        raise typer.BadParameter(f"{expected}, found {service_account!r}", param_hint="SERVICEACCOUNT")
    vendor, colon, verb = action.partition(":")
    if not (vendor and colon and verb) or "*" in action:
        raise typer.BadParameter(f"expected one action such as s3:PutObject, found {action!r}", param_hint="ACTION")
    if resource != "*":
        try:
            Arn.parse(resource)
        except ValueError as error:
            raise typer.BadParameter(f'{error}, or "*"', param_hint="RESOURCE") from None
    return Question(namespace, name, action, resource, context_of(context))


def context_of(pairs: list[str]) -> dict[str, ContextValue]:
    """``KEY=VALUE`` options as condition keys; one that is repeated has many values."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not key or not sign:
            raise typer.BadParameter(f"expected KEY=VALUE, found {pair!r}", param_hint="--context")
        found.setdefault(key, []).append(value)
    return {key: tuple(values) if len(values) > 1 else values[0] for key, values in found.items()}


async def _ask(question: Question, cluster: str) -> Answer:
    from keyless.aws import Session
    from keyless.identity.explain import explain as answer
    from keyless.identity.explain import gather
    from keyless.identity.verify import Sources
    from keyless.kube import connect

    async with connect(os.environ) as kube:
        sources = Sources(kube, Session.from_environment(os.environ), cluster)
        return answer(await gather(sources, question, time.time()))


async def _ask_and_check(question: Question, cluster: str) -> tuple[Answer, Checked]:
    """The same facts for both: what changes in between would look like a difference."""
    from keyless.aws import Session
    from keyless.identity.explain import explain as answer
    from keyless.identity.explain import gather
    from keyless.identity.explain.checking import check
    from keyless.identity.verify import Sources
    from keyless.kube import connect

    async with connect(os.environ) as kube:
        aws = Session.from_environment(os.environ)
        evidence = await gather(Sources(kube, aws, cluster), question, time.time())
        return answer(evidence), await check(aws, evidence)


def _show(answer: Answer, *, as_json: bool, long: bool, checked: Checked | None = None) -> None:
    from keyless.identity.explain import render_json, render_text
    from keyless.identity.explain.checking import document, lines

    if as_json:
        compared = {"check": document(checked)} if checked else {}
        print_json(one("Explanation", {**render_json(answer), **compared}))
    else:
        print_text("\n".join([render_text(answer), *(lines(checked) if checked else [])]), long=long)
    if checked and checked.differs:
        raise typer.Exit(exits.OTHER_SIDE)
    if code := exits.OF_VERDICT[answer.verdict.value]:
        raise typer.Exit(code)


def _find(folder: Path, event: str) -> dict[str, Any]:
    """The line of the record with that event id, or the request id or authorization id that the caller was shown."""
    from keyless.local.cloud.audit import read_audit
    from keyless.local.state.database import open_for_reading

    connection = open_for_reading(folder)
    if connection is None:
        raise Permanent(
            f"no local Space was ever started in {folder}: start one with `{with_state('up --detach', folder)}`"
        )
    number, wanted = 0, _identifiers(event)
    while page := list(read_audit(connection, after=number, limit=PAGE_LINES)):
        number = page[-1].number
        candidates = (json.loads(line.text) for line in page if any(name in line.text for name in wanted))
        found = next((call for call in candidates if wanted & {call["eventId"], call["requestId"]}), None)
        if found is not None:
            return dict(found)
    raise Permanent(
        f"no call {event} in the record: `keyless audit --denied --output json` lists eventId and requestId"
    )


def _identifiers(event: str) -> set[str]:
    """What the id may stand for: an authorization id is a request's id without its dashes."""
    try:
        return {event, str(UUID(hex=event))}
    except ValueError:
        return {event}


def _explain_event(line: dict[str, Any], *, as_json: bool) -> None:
    from keyless.cli.audit import describe

    if as_json:
        print_json(one("Call", line))
    else:
        print_text("\n".join([describe(line), *_decided(line)]))
    if line["code"] != "Success":
        raise typer.Exit(exits.DID_NOT_HOLD)


def _decided(line: dict[str, Any]) -> list[str]:
    decision = line["decision"]
    if decision is None:
        return ["    no policy was asked"]
    by = f", decided by {decision['statement']}" if decision["statement"] else ""
    layer = f" ({decision['layer']})" if decision["layer"] else ""
    return [f"    {decision['outcome']}{layer}{by}"]
