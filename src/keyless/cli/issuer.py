"""``keyless issuer``: discovery and keys of a cluster that is not EKS, put where AWS can fetch them."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyless.api import Permanent
from keyless.cli import exits
from keyless.cli.options import OutputOption, StateOption, require_output, use_local_space
from keyless.cli.output import one, print_json, print_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyless.identity.publishing import Finding, Place, Plan, Seen

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Publish the issuer of a cluster that is not EKS.",
)
_HOURS = 3600
_FETCH_SECONDS = 10.0
_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say."""

    place: str
    url: str
    cache_seconds: int
    token_seconds: int
    fetch: bool
    dry: bool


@app.callback()
def issuer() -> None:
    """Publish the issuer of a cluster that is not EKS."""


@app.command()
def publish(
    place: Annotated[str, typer.Argument(metavar="s3://BUCKET/PREFIX", help="Where the documents are put.")],
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="What the place is to the world, where it is not S3's own URL.")
    ] = "",
    cache_hours: Annotated[
        int,
        typer.Option("--cache-hours", metavar="HOURS", min=1, max=720, help="So long AWS may keep an old set of keys."),
    ] = 24,
    token_hours: Annotated[
        int,
        typer.Option(
            "--token-hours", metavar="HOURS", min=1, max=8760, help="The longest life of a token in the cluster."
        ),
    ] = 24,
    no_fetch: Annotated[bool, typer.Option("--no-fetch", help="Do not fetch them by their public URL.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be put, and put nothing.")] = False,
    state: StateOption = None,
    output: OutputOption = "text",
) -> None:
    """Put discovery and keys where AWS can fetch them; exit code 1 where that is not so, or tokens are refused."""
    as_json = require_output(output)
    use_local_space(state)
    asked = Asked(place, url, cache_hours * _HOURS, token_hours * _HOURS, not no_fetch and not dry_run, dry_run)
    cluster, there, made, away = asyncio.run(_publish(asked))
    if as_json:
        print_json(one("IssuerPublication", _json(cluster, there, made, away, dry=dry_run)))
    else:
        print_text("\n".join(_lines(cluster, there, made, away, dry=dry_run)))
    if made.refused or away or any(found.unsafe for found in made.findings):
        raise typer.Exit(exits.DID_NOT_HOLD)


async def _publish(asked: Asked) -> tuple[Seen, Place, Plan, str]:
    from keyless.aws import Session, caller_identity
    from keyless.identity.publishing import Place, plan, publish, read_cluster, read_published, unreachable
    from keyless.kube import connect

    aws = Session.from_environment(os.environ)
    partition = (await caller_identity(aws)).arn.split(":")[1]
    try:
        place = Place.parse(asked.place, aws.region, partition, asked.url)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="s3://BUCKET/PREFIX") from None
    async with connect(os.environ) as kube:
        cluster = await read_cluster(kube)
    published = await read_published(aws, place)
    now = int(time.time())
    made = plan(cluster, place, published, now, cache_seconds=asked.cache_seconds, token_seconds=asked.token_seconds)
    if made.refused or asked.dry:
        return cluster, place, made, ""
    await publish(made, place, aws)
    return cluster, place, made, await unreachable(cluster, _fetch) if asked.fetch else ""


async def _fetch(url: str) -> str:
    """GET as AWS does: without credentials, over TLS that the system's roots vouch for, and no redirect followed."""
    import httpx

    try:
        async with httpx.AsyncClient(timeout=_FETCH_SECONDS) as http:
            answer = await http.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Permanent(f"{url} cannot be fetched: {type(error).__name__}") from None
    if answer.status_code != 200 or len(answer.content) > _MOST_BYTES:
        raise Permanent(f"{url} answers {answer.status_code} to a caller without credentials, and AWS is one")
    return answer.text


def _lines(cluster: Seen, place: Place, made: Plan, away: str, *, dry: bool) -> Iterator[str]:
    yield f"issuer {cluster.issuer or 'not told'}"
    for found in made.refused:
        yield from _found("FAILED", found)
    if made.refused:
        yield "  nothing was put"
        return
    objects = made.documents.objects
    verb = "would put" if dry else "put"
    yield from (f"  {verb:<9} s3://{place.bucket}/{key}" for key, _ in objects)
    if not objects:
        yield "  ok        all of it lies there already"
    for found in made.findings:
        yield from _found("FAILED" if found.unsafe else "note", found)
    if away:
        yield f"  FAILED    {away}"
        yield "            advice    let everybody read these objects, and nothing else of the bucket"
    elif not dry:
        yield f"  next      keyless identity apply makes the provider; its URL is {cluster.issuer}"


def _found(label: str, found: Finding) -> Iterator[str]:
    yield f"  {label:<9} {found.says}"
    if found.advice:
        yield f"            advice    {found.advice}"


def _json(cluster: Seen, place: Place, made: Plan, away: str, *, dry: bool) -> dict[str, Any]:
    def shown(found: Finding) -> dict[str, Any]:
        return {"says": found.says, "advice": found.advice or None, "unsafe": found.unsafe}

    return {
        "issuer": cluster.issuer,
        "url": place.url,
        "signingKey": cluster.signing or None,
        "refused": [shown(found) for found in made.refused],
        "findings": [shown(found) for found in made.findings],
        "objects": [{"key": key, "document": document} for key, document in made.documents.objects],
        "written": not dry and not made.refused,
        "unreachable": away or None,
    }
