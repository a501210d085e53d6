"""``keyless audit``: the local cloud's record of calls."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from keyless.api import Permanent
from keyless.cli.options import OutputOption, StateOption, require_output, state_folder

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

POLL_SECONDS = 0.25
PAGE_LINES = 1000


@app.command()
def audit(
    state: StateOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new calls until interrupted.")] = False,
    denied: Annotated[bool, typer.Option(help="Only calls that were refused for want of a permission.")] = False,
    output: OutputOption = "text",
) -> None:
    """Show the local cloud's record of calls: who did what on which resource, and why not."""
    as_json = require_output(output)
    try:
        for line in _lines(state_folder(state), follow=follow, denied=denied):
            print(line if as_json else describe(json.loads(line)), flush=follow)
    except KeyboardInterrupt:
        # The way to end --follow.
        return


def _lines(folder: Path, *, follow: bool, denied: bool) -> Iterator[str]:
    from keyless.local.cloud.audit import read_audit
    from keyless.local.state.database import open_for_reading

    connection = open_for_reading(folder)
    if connection is None:
        raise Permanent(f"no local Space was ever started in {folder}: start one with `keyless up --detach`")
    number = 0
    while True:
        page = list(read_audit(connection, after=number, denied=denied, limit=PAGE_LINES))
        for line in page:
            number = line.number
            yield line.text
        if len(page) == PAGE_LINES:
            continue
        if not follow:
            return
        time.sleep(POLL_SECONDS)


def describe(line: dict[str, Any]) -> str:
    """One call on one line; a refused one with its reasons below it."""
    caller = line["caller"]
    who = caller.get("arn") or caller["type"]
    what = line["action"] or line["service"] or "unknown"
    on = f" on {', '.join(line['resources'])}" if line["resources"] else ""
    told = f"{line['time']}  {line['code']:<12} {what}{on}  by {who}"
    trace = (line.get("decision") or {}).get("trace") or ()
    reason = line["notes"].get("refused")
    below = [*([reason] if reason else ()), *trace]
    return told + "".join(f"\n    {text}" for text in below)
