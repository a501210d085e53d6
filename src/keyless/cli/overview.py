"""What ``keyless --help`` says. Written by hand from the table: loading typer for it costs more than the answer."""

from __future__ import annotations

from keyless.cli.commands import COMMANDS, RUN


def overview() -> str:
    """One line for each command."""
    entries = {**{name: command.summary for name, command in COMMANDS.items()}, "run COMPONENT": RUN.summary}
    width = max(map(len, entries))
    return "\n".join(
        [
            "Keyless: a self-hosted Space whose components hold no cloud keys.",
            "",
            "Usage: keyless COMMAND [OPTIONS]        (keyless COMMAND --help tells more)",
            "",
            *(f"  {name:<{width}}  {summary}" for name, summary in entries.items()),
            "",
            "  --version        show the version",
            "  --state DIR      the local Space's folder (or KEYLESS_STATE; default: below the user's data directory)",
            "",
            "Exit codes: 0 held, 1 did not hold, 2 wrong use, 3 the other side failed (AWS, Kubernetes).",
        ]
    )
