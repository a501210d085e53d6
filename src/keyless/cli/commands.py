"""The table of commands. Adding one: a module here with a typer ``app``, and a line in ``COMMANDS``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command lives and what it does, in one line."""

    module: str
    summary: str


COMMANDS = {
    "up": Command("keyless.cli.up", "start the local Space and wait until it is ready"),
    "env": Command("keyless.cli.env", 'print exports for `eval "$(keyless env)"`'),
    "kubeconfig": Command("keyless.cli.kubeconfig", "enter a control plane with kubectl, as yourself and for an hour"),
    "status": Command("keyless.cli.status", "show what runs, where and since when"),
    "down": Command("keyless.cli.down", "stop the local Space; its state is kept"),
    "verify": Command("keyless.cli.verify", "walk the chain for billing or shared-secrets and name the broken link"),
    "crds": Command("keyless.cli.crds", "print the definitions of ControlPlane and its kin, for GitOps"),
    "explain": Command("keyless.cli.explain", "say whether a service account may do something, and why"),
    "identity": Command("keyless.cli.identity", "plan, apply and destroy what the components are granted in AWS"),
    "demo": Command("keyless.cli.demo", "show both guides end to end on a fresh local Space"),
    "audit": Command("keyless.cli.audit", "show the local cloud's record of calls"),
    "faults": Command("keyless.cli.faults", "make the local cloud slow, throttled, broken or late, on request"),
    "issuer": Command("keyless.cli.issuer", "publish discovery and keys of a cluster that is not EKS"),
    "keys": Command("keyless.cli.keys", "show and rotate the keys that sign service account tokens"),
    "billing": Command("keyless.cli.billing", "export usage, verify that it is whole, waive what is missing"),
    "secrets": Command("keyless.cli.secrets", "show which control plane holds which version, refresh; explain, render"),
}

# Components are no typer commands: their flags are the fields of their settings (see keyless.cli.run).
RUN = Command(
    "keyless.cli.run",
    "run a component: operator, webhook, agent, vector, external-secrets-controller, backup, kms-plugin, node, cloud",
)
