"""``keyless crds``: the definitions that the operator brings, for whoever brings them by GitOps."""

from __future__ import annotations

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def crds() -> None:
    """Print the definitions of ControlPlane and its kin as YAML, for `kubectl apply --server-side -f -`."""
    import yaml

    from keyless.api import crds

    # Whoever takes them into a release of Helm: with them every control plane would go.
    kept = {"helm.sh/resource-policy": "keep"}
    for name in crds.HOST:
        definition = crds.load(name)
        metadata = {
            **definition["metadata"],
            "annotations": {**(definition["metadata"].get("annotations") or {}), **kept},
        }
        print("---")
        print(yaml.safe_dump({**definition, "metadata": metadata}, sort_keys=False), end="")
