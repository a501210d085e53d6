"""``keyless faults``: set, list and clear faults of the local cloud. They count from the next call on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyless.api import Permanent
from keyless.cli.naming import with_state
from keyless.cli.options import OutputOption, StateOption, require_output, state_folder
from keyless.cli.output import many, print_json

if TYPE_CHECKING:
    from keyless.local.cloud.faults import Fault, Faults

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def faults() -> None:
    """Make the local cloud slow, throttled, broken or late, on request."""


@app.command("set")
def set_(
    kind: Annotated[
        str,
        typer.Argument(
            help="latency, throttle, error, unavailable, lose-request, lose-answer, clock or propagation (IAM's)."
        ),
    ],
    service: Annotated[str, typer.Option(help="s3, sts, secretsmanager …; * for all.")] = "*",
    action: Annotated[str, typer.Option(help="PutObject, GetSecretValue …; * for all.")] = "*",
    seconds: Annotated[
        float, typer.Option(help="How long (latency, propagation), or how far off (clock; may be negative).")
    ] = 0.0,
    times: Annotated[int, typer.Option(help="For so many calls; 0: until cleared.")] = 0,
    probability: Annotated[float, typer.Option(help="How likely a call meets it, such as 0.1.")] = 1.0,
    lasting: Annotated[float, typer.Option("--for", help="It ends by itself after so many seconds; 0: never.")] = 0.0,
    state: StateOption = None,
) -> None:
    """Set a fault. The same kind, service and action again replaces it."""
    from keyless.local.cloud.faults import Fault

    if lasting < 0:
        raise typer.BadParameter(f"expected seconds, found {lasting:g}", param_hint="--for")
    until = time.time() + lasting if lasting else 0.0
    fault = Fault(kind, service, action, seconds=seconds, times=times, probability=probability, until=until)
    with _opened(state_folder(state)) as found:
        found.set(fault)
    print(describe(fault, time.time()))


@app.command("list")
def list_(state: StateOption = None, output: OutputOption = "text") -> None:
    """List the faults that are set."""
    as_json = require_output(output)
    with _opened(state_folder(state)) as found:
        every = found.all()
    if as_json:
        print_json(many("Fault", ({"name": fault.name, **asdict(fault)} for fault in every)))
        return
    now = time.time()
    print("\n".join(describe(fault, now) for fault in every) or "no faults are set")


@app.command()
def clear(
    name: Annotated[str, typer.Argument(help="As `list` shows it; without it, all.")] = "",
    state: StateOption = None,
) -> None:
    """Clear a fault, or all."""
    with _opened(state_folder(state)) as found:
        count = found.clear(name)
    if name and not count:
        raise Permanent(f"fault {name!r} is not set: see `keyless faults list`")
    print(f"cleared {count}")


def describe(fault: Fault, now: float) -> str:
    """One fault on one line, its name first."""
    from keyless.local.cloud.faults import KINDS

    amount = f" (--seconds {fault.seconds:g})" if fault.seconds else ""
    chance = f", one call in {1 / fault.probability:.3g}" if fault.probability < 1 else ""
    count = f", {fault.times} more" if fault.times else ""
    left = f", for {fault.until - now:.0f} s" if fault.until else ""
    return f"{fault.name}  {KINDS[fault.kind]}{amount}{chance}{count}{left}"


@contextmanager
def _opened(folder: Path) -> Iterator[Faults]:
    from keyless.local.cloud.database import Database
    from keyless.local.cloud.faults import Faults
    from keyless.local.state.database import connect, migrate

    if not (folder / "state.db").exists():
        raise Permanent(
            f"no local Space was ever started in {folder}: start one with `{with_state('up --detach', folder)}`"
        )
    connection = connect(folder)
    try:
        yield Faults(Database(connection, lambda part, steps: migrate(connection, part, steps)))
    finally:
        connection.close()
