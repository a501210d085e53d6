"""``keyless run NAME``: start one component in this process.

Every component is the same to this module: a package with ``settings.Settings`` (a dataclass of ``setting`` fields)
and ``service.run(settings, environ)``. Flags are the names of the fields. SIGTERM and SIGINT cancel ``run``, which
ends its work within the grace that the pod has.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import importlib
import json
import os
import signal
import traceback
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keyless.api import Bug, KeylessError, Permanent
from keyless.api.settings import load
from keyless.cli import exits
from keyless.cli.installed import left_out
from keyless.cli.naming import did_you_mean

COMPONENTS = {
    "operator": "keyless.space",
    "webhook": "keyless.identity.injection",
    "agent": "keyless.identity.agent",
    "issuer": "keyless.identity.issuer",
    "vector": "keyless.billing.collector",
    "external-secrets-controller": "keyless.shared_secrets",
    "backup": "keyless.backup",
    "kms-plugin": "keyless.encryption",
    "node": "keyless.local.node",
    "cloud": "keyless.local.beside",
}
SECRET_WORDS = ("token", "password", "secret_access_key")
GC_THRESHOLDS = (10_000, 20, 10)
"""One parsed answer makes a thousand objects and no cycle: Python's own 700 has it look in the middle of each."""


def main(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Run a component until it ends or is told to; returns the exit code."""
    environ = os.environ if environ is None else environ
    try:
        if not arguments or arguments[0] in {"--help", "-h"}:
            print(_help())
            return exits.HELD if arguments else exits.WRONG_USE
        return _run(arguments[0], arguments[1:], environ)
    except ModuleNotFoundError as error:
        if (missing := left_out(error)) is None:
            raise
        return exits.report(missing)
    except (KeylessError, OSError) as error:
        return exits.report(error)


def _run(name: str, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    module = COMPONENTS.get(name)
    if module is None:
        raise Permanent(f"component {name!r}: expected one of {', '.join(COMPONENTS)}.{did_you_mean(name, COMPONENTS)}")
    # First of all: it keeps structlog, which settings may load, from loading rich.
    from keyless.cli.logs import configure

    cls = importlib.import_module(f"{module}.settings").Settings
    if any(flag in {"--help", "-h"} for flag in arguments):
        print(_component_help(name, cls))
        return exits.HELD
    flags, file, print_only = parse(arguments, cls)
    settings = load(cls, flags=flags, environ=environ, file=_read_file(file))
    if print_only:
        print(json.dumps(_shown(settings), indent=2, default=str))
        return exits.HELD
    configure(name, environ.get("KEYLESS_LOG_LEVEL", "info"))
    service = importlib.import_module(f"{module}.service")
    return serve(name, service.run(settings, environ))


def serve(name: str, work: typing.Coroutine[Any, Any, None]) -> int:
    """Run ``work`` to its end on uvloop, cancelled by SIGTERM or SIGINT."""
    import structlog
    import uvloop

    log = structlog.get_logger(f"keyless.{name}")
    try:
        with _rarely_searched(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_told(work))
    except Exception as error:  # noqa: BLE001 - the last place where a failure can become a line and a code
        told = exits.named(error)
        # Formatted here: a renderer that prints local variables would print tokens.
        trace = {"trace": "".join(traceback.format_exception(error))} if isinstance(told, Bug) else {}
        log.error("ended", error=str(told), **trace)
        return exits.report(told)
    return exits.HELD


@contextlib.contextmanager
def _rarely_searched() -> Iterator[None]:
    """Look for cycles seldom, and never in what was imported: it was a tenth of what a busy component computed."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def _until_told(work: typing.Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    told = False

    def stop() -> None:
        nonlocal told
        told = True
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await asyncio.wait({task})
    if task.cancelled() and told:
        return
    task.result()


def parse(arguments: Sequence[str], cls: type[Any]) -> tuple[dict[str, str], Path | None, bool]:
    """Split ``--flag value`` and ``--flag=value`` into flags, the file of ``--config`` and ``--print-config``."""
    kinds = typing.get_type_hints(cls)
    flags: dict[str, str] = {}
    file: Path | None = None
    print_only = False
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise Permanent(f"argument {word!r}: expected --flag value; see --help for the flags")
        name, equals, value = word[2:].partition("=")
        field = name.replace("-", "_")
        if name == "print-config":
            print_only = True
            continue
        if not equals and kinds.get(field) is bool and (not rest or rest[0].startswith("--")):
            value = "true"
        elif not equals:
            if not rest:
                raise Permanent(f"--{name}: expected a value after it")
            value = rest.pop(0)
        if name == "config":
            file = Path(value)
        else:
            flags[field] = value
    return flags, file, print_only


def _read_file(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise Permanent(f"--config {path}: {error}") from error
    if not isinstance(content, dict):
        raise Permanent(f"--config {path}: expected a mapping of settings, found {type(content).__name__}")
    return {str(key).replace("-", "_"): value for key, value in content.items()}


def _shown(settings: Any) -> dict[str, Any]:
    """The settings as printed: a value whose name says that it is secret is not."""
    shown = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return {name: "(set)" if value and name.endswith(SECRET_WORDS) else value for name, value in shown.items()}


def _help() -> str:
    names = "\n".join(f"  {name}" for name in COMPONENTS)
    return f"Usage: keyless run COMPONENT [--flag value …] [--config FILE] [--print-config]\n\nComponents:\n{names}"


def _component_help(name: str, cls: type[Any]) -> str:
    lines = [f"Usage: keyless run {name} [--flag value …] [--config FILE] [--print-config]", ""]
    for field in dataclasses.fields(cls):
        default = "required" if field.default is dataclasses.MISSING else f"default {field.default!r}"
        flag = field.name.replace("_", "-")
        lines.append(f"  --{flag}  {field.metadata.get('help', '')} [{field.metadata.get('env', '')}; {default}]")
    return "\n".join(lines)
