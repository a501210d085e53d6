"""``keyless audit``: the local cloud's record of calls."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer

from keyless.api import Permanent
from keyless.api.numbers import is_digits
from keyless.cli.naming import with_state
from keyless.cli.options import StateOption, state_folder
from keyless.cli.output import one

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

POLL_SECONDS = 0.25
PAGE_LINES = 1000
FORMS = ("text", "json", "cloudtrail")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines to show; an empty member asks for nothing. ``*`` and ``?`` match as in a policy."""

    service: str = ""
    action: str = ""
    principal: str = ""
    since: str = ""
    denied: bool = False

    def holds(self, line: dict[str, Any]) -> bool:
        """Whether a line is asked for. ``since`` is a time as lines have it, which sorts as it reads."""
        caller = line["caller"]
        principals = (caller.get("arn", ""), caller.get("role", {}).get("arn", ""), caller.get("accessKeyId", ""))
        names = (line["action"], line["operation"])
        return (
            (not self.service or line["service"] == self.service)
            and (not self.action or any(_matches(name, self.action) for name in names))
            and (not self.principal or any(_matches(name, self.principal) for name in principals))
            and line["time"] >= self.since
        )


@app.command()
def audit(
    state: StateOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new calls until interrupted.")] = False,
    denied: Annotated[bool, typer.Option(help="Only calls that were refused for want of a permission.")] = False,
    service: Annotated[str, typer.Option(help="Only calls to this service, such as s3.")] = "",
    action: Annotated[str, typer.Option(help="Only these actions, such as PutObject or s3:Put*.")] = "",
    principal: Annotated[
        str, typer.Option(help="Only these callers: an ARN of a session, role or user, its end, or an access key id.")
    ] = "",
    since: Annotated[str, typer.Option(metavar="TIME", help="Such as 10m, 2h, 1d, or 2026-11-22T07:00.")] = "",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="|".join(FORMS), help="cloudtrail: JSON as CloudTrail writes it.")
    ] = "text",
) -> None:
    """Show the local cloud's record of calls: who did what on which resource, and why not."""
    if output not in FORMS:
        raise typer.BadParameter(f"expected {', '.join(FORMS)}, found {output!r}", param_hint="--output")
    wanted = Wanted(service, action, principal, since_of(since, datetime.now(UTC)), denied)
    try:
        for line in _lines(state_folder(state), wanted, follow=follow):
            print(_told(line, output), flush=follow)
    except KeyboardInterrupt:
        # The way to end --follow.
        return


def since_of(text: str, now: datetime) -> str:
    """A time as lines have it, from one that a person wrote: so long ago, or in ISO 8601 (UTC unless it says)."""
    if not text:
        return ""
    if text[-1] in _UNITS and is_digits(text[:-1]) and len(text) < 10:
        moment = now - timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            expected = "10m, 2h, 1d or a time such as 2026-11-22T07:00"
            raise typer.BadParameter(f"expected {expected}, found {text!r}", param_hint="--since") from None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _matches(name: str, pattern: str) -> bool:
    """Without regard to case, as actions are; a pattern may leave out what comes before a colon or a slash."""
    name, pattern = name.lower(), pattern.lower().replace("[", "[[]")
    return fnmatchcase(name, pattern) or any(fnmatchcase(name, f"*{mark}{pattern}") for mark in ":/")


def _told(line: dict[str, Any], form: str) -> str:
    if form == "text":
        # The id is what `keyless explain --event` asks for: only who was refused will.
        return describe(line) + ("" if line["code"] == "Success" else f"\n    event {line['eventId']}")
    if form == "json":
        return json.dumps(one("Call", line), separators=(",", ":"))
    from keyless.local.cloud.cloudtrail import record

    return json.dumps(record(line), separators=(",", ":"))


def _lines(folder: Path, wanted: Wanted, *, follow: bool) -> Iterator[dict[str, Any]]:
    from keyless.local.cloud.audit import read_audit
    from keyless.local.state.database import open_for_reading

    connection = open_for_reading(folder)
    if connection is None:
        raise Permanent(
            f"no local Space was ever started in {folder}: start one with `{with_state('up --detach', folder)}`"
        )
    number = 0
    while True:
        page = list(read_audit(connection, after=number, denied=wanted.denied, limit=PAGE_LINES))
        for line in page:
            number = line.number
            found: dict[str, Any] = json.loads(line.text)
            if wanted.holds(found):
                yield found
        if len(page) == PAGE_LINES:
            continue
        if not follow:
            return
        time.sleep(POLL_SECONDS)


def describe(line: dict[str, Any]) -> str:
    """One call on one line; a refused one with its reasons below it. What callers wrote is quoted where it must be."""
    caller = line["caller"]
    who = caller.get("arn") or caller["type"]
    what = line["action"] or line["service"] or "unknown"
    on = f" on {', '.join(line['resources'])}" if line["resources"] else ""
    asked = "".join(f"  [fault {name}]" for name in line["notes"].get("faults", ()))
    told = f"{line['time']}  {line['code']:<12} {what}{on}  by {who}{asked}"
    trace = (line.get("decision") or {}).get("trace") or ()
    noted = [line["notes"][name] for name in ("refused", "warning") if line["notes"].get(name)]
    below = [*noted, *trace]
    return "\n    ".join(printable(text) for text in (told, *below))


def printable(text: str) -> str:
    """Text that stays on its line and tells a terminal nothing: an object's key may hold anything."""
    return "".join(each if each.isprintable() else f"\\u{{{ord(each):x}}}" for each in text)
