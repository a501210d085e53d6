"""Which outcome of which command ends in which exit code: the contract that scripts and CI read, as a table.

A test brings about each row that needs no running Space, and compares; ``make reference`` prints the table.
"""

from __future__ import annotations

from dataclasses import dataclass

from keyless.cli.exits import DID_NOT_HOLD, HELD, OTHER_SIDE, WRONG_USE


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row: the command (``any`` for all), what came of it, and the exit code."""

    command: str
    outcome: str
    code: int


_REPORT = "billing export"
OUTCOMES = (
    Outcome("any", "it did what was asked", HELD),
    Outcome("any", "an option, an argument or a value that is none", WRONG_USE),
    Outcome("any", "a state folder in which no Space was ever started", WRONG_USE),
    Outcome("any", "Kubernetes cannot be reached, or refuses", OTHER_SIDE),
    Outcome("any", "a fault of ours that nobody foresaw", OTHER_SIDE),
    Outcome("kubeconfig", "a context leads to the control plane", HELD),
    Outcome("kubeconfig", "there is no such control plane, or it does not let in who asks", DID_NOT_HOLD),
    Outcome("kubeconfig", "the file cannot be read or written, or has another's context of that name", WRONG_USE),
    Outcome("kubeconfig", "nobody answers within --timeout", OTHER_SIDE),
    Outcome("status", "nothing runs", DID_NOT_HOLD),
    Outcome("verify", "every chain holds", HELD),
    Outcome("verify", "a link of a chain is broken, whatever could not be seen beside it", DID_NOT_HOLD),
    Outcome("verify", "there is no such control plane", DID_NOT_HOLD),
    Outcome("verify", "nothing is broken, and the pod that runs has not tried yet", OTHER_SIDE),
    Outcome("verify", "nothing is broken, and AWS did not show all that the chain is judged by", OTHER_SIDE),
    Outcome("verify", "no credentials, or expired ones, and nothing that is certain without AWS", OTHER_SIDE),
    Outcome("verify", "the kubeconfig leads to a control plane's own API", WRONG_USE),
    Outcome("verify space", "the Space is installed whole", HELD),
    Outcome("verify space", "a part of it is missing, or not ready within --wait-seconds", DID_NOT_HOLD),
    Outcome("explain", "Allowed", HELD),
    Outcome("explain", "Denied", DID_NOT_HOLD),
    Outcome("explain", "Unknown: something could not be read, or hangs on the call", OTHER_SIDE),
    Outcome("explain", "with --check, AWS's simulator decides otherwise by the role's policies", OTHER_SIDE),
    Outcome("explain", "no credentials, or expired ones", OTHER_SIDE),
    Outcome("explain", "the kubeconfig leads to a control plane's own API", WRONG_USE),
    Outcome("explain", "--event names a call that was refused", DID_NOT_HOLD),
    Outcome("identity plan", "nothing is missing in AWS", HELD),
    Outcome("identity plan", "something is missing in AWS", DID_NOT_HOLD),
    Outcome("identity plan", "AWS did not show what there is", OTHER_SIDE),
    Outcome("identity access", "everybody who reaches the resource was found, and no static key does", HELD),
    Outcome("identity access", "a static key in use reaches the resource", DID_NOT_HOLD),
    Outcome("identity access", "there is no such resource, or its ARN is none", WRONG_USE),
    Outcome("identity access", "something that the answer hangs on could not be read", OTHER_SIDE),
    Outcome("identity tighten", "what was never used was shown, if anything", HELD),
    Outcome("identity tighten", "a file of CloudTrail cannot be read", WRONG_USE),
    Outcome("identity tighten", "there is no such role, or AWS did not show it", OTHER_SIDE),
    Outcome("identity apply", "the steps were not agreed to", DID_NOT_HOLD),
    Outcome("identity apply", "AWS refused a step, or somebody changed something: the rest is not done", OTHER_SIDE),
    Outcome("identity destroy", "the steps were not agreed to", DID_NOT_HOLD),
    Outcome("identity destroy", "AWS refused a step, or somebody changed something: the rest is not done", OTHER_SIDE),
    Outcome("crds", "the definitions were printed", HELD),
    Outcome("issuer publish", "AWS can fetch all keys, and no token is refused", HELD),
    Outcome("issuer publish", "the issuer cannot be published there, or a rotation loses tokens", DID_NOT_HOLD),
    Outcome("issuer publish", "what was put cannot be fetched by its public URL", DID_NOT_HOLD),
    Outcome("issuer publish", "S3 refuses", OTHER_SIDE),
    Outcome(_REPORT, "usage is missing, and no report was written", DID_NOT_HOLD),
    Outcome(_REPORT, "AWS cannot be reached, or refuses", OTHER_SIDE),
    Outcome("billing export-closed", "a closed month was refused; the others are written", DID_NOT_HOLD),
    Outcome("billing export-closed", "AWS cannot be reached, or refuses", OTHER_SIDE),
    Outcome("billing report", "usage is missing, and no report was made", DID_NOT_HOLD),
    Outcome("billing report-update", "a time lies between the two reports, or they cannot be merged", DID_NOT_HOLD),
    Outcome("billing capacity", "more was used than was bought, or usage is missing", DID_NOT_HOLD),
    Outcome("billing verify", "something differs from what was stored, or is missing", DID_NOT_HOLD),
    Outcome("billing waive", "the bucket knows nothing of what is named", DID_NOT_HOLD),
    Outcome("secrets status", "a control plane holds no current version", DID_NOT_HOLD),
    Outcome("secrets refresh", "a control plane failed, or did not hold it in time", DID_NOT_HOLD),
    Outcome("secrets explain", "a manifest is none that could be read", DID_NOT_HOLD),
    Outcome("secrets render", "the template fails on the sample values", DID_NOT_HOLD),
    Outcome("demo", "a step did not hold", DID_NOT_HOLD),
)
