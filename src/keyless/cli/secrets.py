"""``keyless secrets``: the fleet's secrets; offline, a template before it is applied, and older manifests as v1."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyless.api.numbers import is_digits
from keyless.cli import exits
from keyless.cli.fleet import COMMANDS
from keyless.cli.options import OutputOption, require_output
from keyless.cli.output import many, print_json

if TYPE_CHECKING:
    from keyless.shared_secrets.sync.templates import SourceTexts

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Manifests in YAML or JSON; - is standard input.")]


@app.callback()
def secrets() -> None:
    """Shared secrets: which control plane holds which version; templates and manifests, without a cluster."""


for command in COMMANDS:
    app.command()(command)


@app.command()
def render(
    file: FileArgument,
    data: Annotated[Path, typer.Option("--data", metavar="FILE", help="Sample values: a map of keys to texts.")],
    name: Annotated[str, typer.Option(help="Which ExternalSecret, where the file holds several.")] = "",
) -> None:
    """Render an ExternalSecret's template on sample values and print the Secret it makes.

    ConfigMaps and Secrets that templateFrom names are taken from the same file.
    """
    from keyless.shared_secrets.sync.model import SpecFault
    from keyless.shared_secrets.sync.values import ValueFault

    objects = _documents(file)
    chosen = _chosen(objects, name)
    try:
        made = asyncio.run(_rendered(chosen, objects, _values(data)))
    except (SpecFault, ValueFault) as fault:
        typer.echo(f"keyless: {fault}", err=True)
        raise typer.Exit(exits.DID_NOT_HOLD) from None
    _print([made])


@app.command()
def explain(
    file: FileArgument,
    account: Annotated[str, typer.Option(metavar="NUMBER", help="The AWS account that is read.")] = "111122223333",
    copies: Annotated[int, typer.Option(min=1, help="In how many control planes and namespaces, together.")] = 1,
    output: OutputOption = "text",
) -> None:
    """Say what stores and ExternalSecrets will ask of AWS: calls an hour, their price, the exact policy."""
    from keyless.shared_secrets.explaining import Place
    from keyless.shared_secrets.explaining import explain as explained
    from keyless.shared_secrets.sync.model import SpecFault

    as_json = require_output(output)
    if not (len(account) == 12 and is_digits(account)):
        raise typer.BadParameter(f"expected twelve digits, found {account!r}", param_hint="--account")
    try:
        found = [one.document() for one in explained(_documents(file), Place(account, copies=copies))]
    except (SpecFault, KeyError, TypeError, AttributeError) as fault:
        text = str(fault) if isinstance(fault, SpecFault) else f"{file}: a field is missing or of another type"
        typer.echo(f"keyless: {text}", err=True)
        raise typer.Exit(exits.DID_NOT_HOLD) from None
    if as_json:
        print_json(many("SecretsExplanation", found))
        return
    if not found:
        typer.echo("nothing is read: no store of these manifests has a reader here")
    for one in found:
        _say(one)


def _say(one: dict[str, Any]) -> None:
    import json

    more = ", and a read of each name that is found" if one["readsWhatItFinds"] else ""
    typer.echo(f"{one['store']}: {one['callsPerHour']:g} calls an hour{more}, ${one['dollarsPerMonth']:g} a month")
    proof = "each call is allowed, and nothing could be left out" if one["proven"] else "not proven"
    typer.echo(f"  policy ({proof}):")
    typer.echo("    " + json.dumps(json.loads(one["policy"]), indent=2).replace("\n", "\n    "))
    if "broader" in one:
        typer.echo(f"  with this, {one['broader']['callsPerHour']:g} calls an hour:")
        typer.echo("    " + one["broader"]["statement"])
    for note in one.get("notes", ()):
        typer.echo(f"  note: {note}")


@app.command()
def convert(file: FileArgument) -> None:
    """Print ExternalSecrets and stores of v1alpha1 and v1beta1 as v1, and what is done otherwise here (as notes)."""
    from keyless.shared_secrets.conversion import convert as converted

    made = [converted(one) for one in _documents(file)]
    _print([one.object for one in made])
    for note in (note for one in made for note in one.notes):
        typer.echo(f"note: {note}", err=True)


def _documents(file: Path) -> list[dict[str, Any]]:
    import yaml

    found: list[dict[str, Any]] = []
    try:
        for one in yaml.safe_load_all(_text(file)):
            several = one.get("items") if isinstance(one, dict) and one.get("kind") == "List" else [one]
            found += [each for each in several or () if each is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise typer.BadParameter(f"{file} is no YAML{f' from line {mark.line + 1}' if mark else ''}") from None
    if not found or not all(isinstance(one, dict) for one in found):
        raise typer.BadParameter(f"{file}: expected manifests, found {'none' if not found else 'something else'}")
    return found


def _text(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise typer.BadParameter(f"cannot read {file}: {reason}") from None


def _chosen(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    found = [one for one in objects if one.get("kind") == "ExternalSecret"]
    names = [str((one.get("metadata") or {}).get("name") or "") for one in found]
    if name:
        found = [one for one, its in zip(found, names, strict=True) if its == name]
    if len(found) != 1:
        there = ", ".join(names) or "none"
        raise typer.BadParameter(
            f"expected one ExternalSecret{f' {name!r}' if name else ''}, found {there}; give --name"
        )
    return found[0]


def _values(file: Path) -> dict[str, bytes]:
    import yaml

    try:
        found = yaml.safe_load(_text(file))
    except yaml.YAMLError:
        raise typer.BadParameter(f"{file} is no YAML", param_hint="--data") from None
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in [*found, *found.values()]):
        raise typer.BadParameter(f"{file}: expected a map of keys to texts (quote numbers)", param_hint="--data")
    return {key: value.encode() for key, value in found.items()}


def _texts(objects: list[dict[str, Any]]) -> SourceTexts:
    import base64

    texts: dict[tuple[str, str, str], str] = {}
    for one in objects:
        kind = {"ConfigMap": "configMap", "Secret": "secret"}.get(str(one.get("kind")), "")
        its = str((one.get("metadata") or {}).get("name") or "")
        if kind:
            for key, value in (one.get("data") or {}).items():
                text = base64.b64decode(str(value)).decode("utf-8", "replace") if kind == "secret" else str(value)
                texts[kind, its, key] = text
            for key, value in (one.get("stringData") or {}).items():
                texts[kind, its, key] = str(value)
    return texts


async def _rendered(obj: dict[str, Any], objects: list[dict[str, Any]], values: dict[str, bytes]) -> dict[str, Any]:
    from contextlib import aclosing

    from keyless.rendering import Renderer
    from keyless.shared_secrets.sync.model import wanted_of
    from keyless.shared_secrets.sync.templates import render as rendered

    metadata = {"namespace": "default", **(obj.get("metadata") or {})}
    wanted = wanted_of({**obj, "metadata": metadata})
    found: dict[str, Any] = {"name": wanted.target}
    if wanted.template is None:
        return _secret(found, "", values)
    async with aclosing(Renderer()) as renderer:
        made = await rendered(wanted.template, values, _texts(objects), renderer, named=frozenset(values))
    found |= {name: value for name in ("labels", "annotations") if (value := getattr(made, name))}
    return _secret(found, wanted.template.type, made.data)


def _secret(metadata: dict[str, Any], kind: str, data: dict[str, bytes]) -> dict[str, Any]:
    import base64

    texts, others = {}, {}
    for key, value in sorted(data.items()):
        try:
            texts[key] = value.decode()
        except UnicodeDecodeError:
            others[key] = base64.b64encode(value).decode()
    parts = {"data": others, "stringData": texts}
    written = {name: part for name, part in parts.items() if part}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind or "Opaque", **written}


def _print(objects: list[dict[str, Any]]) -> None:
    import yaml

    typer.echo(
        yaml.safe_dump_all(objects, sort_keys=False, allow_unicode=True, explicit_start=len(objects) > 1), nl=False
    )
