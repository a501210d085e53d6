"""The table of commands. Adding one: a module here with a typer ``app``, and a line in ``COMMANDS``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command lives and what it does, in one line."""

    module: str
    summary: str


COMMANDS: dict[str, Command] = {}

# Components are no typer commands: their flags are the fields of their settings (see keyless.cli.run).
RUN = Command("keyless.cli.run", "run a component: operator, webhook, agent, vector, external-secrets-controller, node")
