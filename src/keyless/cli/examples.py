"""One example for each command, as ``--help`` and the reference show it: a line that the command takes as it stands."""

from __future__ import annotations

from typing import Any

EXAMPLES = {
    "up": "keyless up --detach --propagation-delay 0.5",
    "env": 'eval "$(keyless env --control-plane ctp1)"',
    "kubeconfig": "keyless kubeconfig ctp1 --namespace default",
    "status": "keyless status --output json",
    "down": "keyless down --state ./space",
    "verify billing": "keyless verify billing --control-plane ctp1 --group default --wait-seconds 60",
    "verify billing-export": "keyless verify billing-export --cluster-name prod --output json",
    "verify backup": "keyless verify backup --cluster-name prod --output json",
    "verify encryption": "keyless verify encryption --cluster-name prod",
    "verify shared-secrets": "keyless verify shared-secrets --cluster-name prod --output json",
    "verify space": "keyless verify space --namespace default --wait-seconds 60",
    "explain": "keyless explain mxp-1-system/vector s3:PutObject arn:aws:s3:::usage/manifest/a",
    "identity plan": "keyless identity plan --cluster-name prod --way pod-identity",
    "identity apply": "keyless identity apply --cluster-name prod --secret-prefix team-a/ --yes",
    "identity destroy": "keyless identity destroy --cluster-name prod",
    "identity tighten": "keyless identity tighten keyless-vector --output json",
    "identity access": "keyless identity access arn:aws:s3:::usage --output json",
    "crds": "keyless crds",
    "demo": "keyless demo --keep",
    "audit": "keyless audit --denied --service s3 --since 10m",
    "faults set": "keyless faults set latency --service s3 --action PutObject --seconds 2 --times 5",
    "faults list": "keyless faults list --output json",
    "faults clear": "keyless faults clear",
    "issuer publish": "keyless issuer publish s3://issuer/prod --dry-run",
    "keys list": "keyless keys list --output json",
    "keys rotate": "keyless keys rotate keyless",
    "billing verify": "keyless billing verify --account acme --bucket usage --billing-month 2026-10",
    "billing report": "keyless billing report --account acme --bucket usage --billing-month 2026-10 --by team",
    "billing report-update": "keyless billing report-update 2026.tgz october.tgz",
    "billing capacity": "keyless billing capacity --account acme --bucket usage "
    "--from 2026-01-01 --to 2026-12-31 --resource-hours 100000",
    "billing export": "keyless billing export --account acme --bucket usage --billing-month 2026-10",
    "billing export-closed": "keyless billing export-closed --account acme --bucket usage",
    "billing waive": "keyless billing waive --account acme --bucket usage --control-plane 5d1e0c3a "
    "--from 2026-10-03T10:00:00Z --to 2026-10-03T11:00:00Z --why 'the node was lost' --assumed 'as the hour before'",
    "billing waivers": "keyless billing waivers --account acme --bucket usage",
    "billing unwaive": "keyless billing unwaive 5d1e0c3a --account acme --bucket usage --why 'the usage was found'",
    "secrets status": "keyless secrets status --control-plane ctp1",
    "secrets refresh": "keyless secrets refresh db --wait --timeout 30",
    "secrets render": "keyless secrets render secret.yaml --data sample.json",
    "secrets explain": "keyless secrets explain secret.yaml --copies 20",
    "secrets convert": "keyless secrets convert old.yaml",
}


def with_examples(command: Any, path: str) -> Any:
    """The command, and all below it, with their examples at the end of what ``--help`` says."""
    for name, part in getattr(command, "commands", {}).items():
        with_examples(part, f"{path} {name}")
    if path in EXAMPLES:
        # The mark keeps the line whole: a command that is folded does not run.
        command.epilog = f"\b\nExample:\n  {EXAMPLES[path]}"
    return command
