"""``keyless billing verify``: whether the bucket, or a copy of it, holds all usage as its collectors stored it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyless.api.words import counted
from keyless.cli import exits
from keyless.cli.options import OutputOption, require_output
from keyless.cli.output import one, print_json, print_text
from keyless.cli.usage_options import AccountOption, EndpointOption, ProviderOption, checked
from keyless.cli.usage_signing import ManifestKeyOption, VerifyKeyOption, VerifyKmsOption, signed_by, verifying

if TYPE_CHECKING:
    from keyless.billing.export.keys import Verifying
    from keyless.billing.export.recomputing import Recomputed
    from keyless.billing.export.service import Bucket
    from keyless.billing.export.verifying import Known, Verdict

# The first one is what matters; the rest shows how far it goes.
SHOWN = 40
CLUSTER_SECONDS = 5.0


def verify(
    account: AccountOption,
    bucket: Annotated[
        str, typer.Option(envvar="UP_BILLING_BUCKET", help="The bucket that holds the usage; or --folder.")
    ] = "",
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A copy of the bucket (aws s3 sync): nothing is asked of AWS.")
    ] = None,
    billing_month: Annotated[str, typer.Option(envvar="UP_BILLING_MONTH", metavar="2006-01", help="A month.")] = "",
    billing_custom: Annotated[
        str,
        typer.Option(envvar="UP_BILLING_CUSTOM", metavar="2006-01-02/2006-01-02", help="A range of days, inclusive."),
    ] = "",
    heads: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="What an earlier `verify --output json` printed: it must still be there."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A report: it is made once more, and must be the same.")
    ] = None,
    verify_key: VerifyKeyOption = None,
    verify_kms: VerifyKmsOption = "",
    manifest_key: ManifestKeyOption = None,
    cluster: Annotated[
        bool, typer.Option("--cluster/--no-cluster", help="With --bucket: compare with what the ControlPlanes tell.")
    ] = True,
    prefix: Annotated[str, typer.Option(metavar="PREFIX", help="What stands before account= in the keys.")] = "",
    provider: ProviderOption = "aws",
    endpoint: EndpointOption = "",
    output: OutputOption = "text",
) -> None:
    """Verify that stored usage is whole and unchanged, and name the first thing that differs.

    Without a period all that the bucket holds is read.
    """
    from datetime import UTC, datetime

    from keyless.billing.export.plan import period_of
    from keyless.billing.export.recomputing import Recomputed
    from keyless.billing.export.verifying import Check
    from keyless.billing.export.verifying import verify as verified

    as_json = require_output(output)
    source = _opened(account, bucket, folder, provider, endpoint)
    try:
        period = period_of(billing_month, billing_custom) if billing_month or billing_custom else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    known = [_known(path, account) for path in heads or ()]
    unsigned = _signed(report, verifying(report, verify_key, verify_kms), account, known)
    # Before the bucket is read: what is stored meanwhile is no head that it lacks.
    unreachable = _ask_cluster(account, bucket, known) if cluster and bucket and not prefix else ""
    check = Check(account, period, tuple(known), prefix, signed_by(manifest_key))
    verdict = verified(source, check, now=datetime.now(UTC))
    made_again = Recomputed(unsigned) if unsigned else _made_again(source, report, account) if report else None
    printed = _as_json if as_json else _as_text
    printed(verdict, account, known, unreachable, report, made_again)
    if (made_again is not None and made_again.differs) or not verdict.holds:
        raise typer.Exit(exits.DID_NOT_HOLD)


def _as_json(
    verdict: Verdict, account: str, known: list[Known], _: str, _report: Path | None, again: Recomputed | None
) -> None:
    from keyless.billing.ledger.report_file import correction_document

    told = {"account": account, **_document(verdict), "comparedWith": [each.source for each in known]}
    if again is not None:
        told["reportDiffers"] = again.differs or None
        told["correctedSince"] = [correction_document(each) for each in again.later]
    print_json(one("UsageVerification", told))


def _as_text(
    verdict: Verdict, account: str, known: list[Known], unreachable: str, report: Path | None, again: Recomputed | None
) -> None:
    compared = [f"compared with {counted(len(each.heads), 'head')} of {each.source}" for each in known]
    lines = [*compared, *([unreachable] if unreachable else []), _text(verdict, account)]
    print_text("\n".join([*lines, *(_said_again(report, again) if again is not None else [])]))


def _said_again(report: Path | None, again: Recomputed) -> list[str]:
    from keyless.billing.export.plan import describe_correction

    if again.differs:
        return [f"FAILED {report} is not what the bucket says: {again.differs}"]
    if again.later:
        said = f"ok {report} is what the bucket said before these corrections; export it again to have them:"
        return [said, *map(describe_correction, again.later)]
    return [f"ok {report} is what it says"]


def _opened(account: str, bucket: str, folder: Path | None, provider: str, endpoint: str) -> Bucket:
    if bool(bucket) == bool(folder):
        raise typer.BadParameter("expected one of --bucket and --folder")
    checked(account, bucket or "copy", provider, endpoint)
    if folder is not None:
        from keyless.billing.export.folder import FolderBucket

        return FolderBucket(folder)
    from keyless.billing.export.s3 import S3Bucket

    return S3Bucket.from_environment(os.environ, bucket, endpoint)


def _signed(report: Path | None, key: Verifying | None, account: str, known: list[Known]) -> str:
    """What is wrong with the report's signature; where nothing is, the heads in it must be there, too."""
    from keyless.billing.export.signatures import check_signature, signature_file

    if report is None or key is None:
        return ""
    wrong, heads = check_signature(report, signature_file(report), key, account)
    if not wrong:
        known.append(heads)
    return wrong


def _known(path: Path, account: str) -> Known:
    """What an earlier run printed."""
    from keyless.api import Permanent, os_failure
    from keyless.billing.export.verifying import known_untrusted
    from keyless.billing.ledger.model import Malformed

    try:
        return known_untrusted(str(path), path.read_bytes(), account)
    except OSError as error:
        raise os_failure(error) from None
    except Malformed as error:
        raise Permanent(str(error)) from None


def _made_again(source: Bucket, report: Path, account: str) -> Recomputed:
    """Whether the report is one that is made now, or before corrections."""
    from datetime import UTC, datetime

    from keyless.api import Permanent, os_failure
    from keyless.billing.export.recomputing import recomputed
    from keyless.billing.ledger.model import Malformed

    try:
        return recomputed(source, str(report), report.read_bytes(), account, now=datetime.now(UTC))
    except OSError as error:
        raise os_failure(error) from None
    except Malformed as error:
        raise Permanent(str(error)) from None


def _ask_cluster(account: str, bucket: str, known: list[Known]) -> str:
    """Add what the Space's ControlPlanes tell of their chains; why that is not known, where it is not."""
    import asyncio

    from keyless.api import KeylessError
    from keyless.billing.collector.host import head_of, signature_of
    from keyless.billing.export.verifying import Known
    from keyless.kube import connect
    from keyless.kube.resources import CONTROLPLANES

    async def ask() -> list[Any]:
        async with asyncio.timeout(CLUSTER_SECONDS), connect(os.environ) as kube:
            return list((await kube.list(CONTROLPLANES)).items)

    try:
        planes = asyncio.run(ask())
    except (KeylessError, TimeoutError) as error:
        return f"unknown what the cluster tells: {str(error) or f'no answer in {CLUSTER_SECONDS:.0f} s'}"
    told = [(head, plane) for plane in planes if (head := head_of(plane, account, bucket)) is not None]
    signatures = [(head.sha256, each) for head, plane in told if (each := signature_of(plane, head.sha256)) is not None]
    heads = tuple(sorted(head for head, _ in told))
    known.append(Known("the cluster's ControlPlanes", heads, signatures=tuple(signatures)))
    return ""


def _document(verdict: Verdict) -> dict[str, Any]:
    from keyless.billing.ledger.frames import head_document
    from keyless.billing.ledger.model import stamp
    from keyless.billing.ledger.report_file import fault_document, missing_document

    faults = [fault_document(fault) for fault in verdict.faults]
    return {
        "holds": verdict.holds,
        "from": stamp(verdict.covers[0]) if verdict.covers else None,
        "to": stamp(verdict.covers[1]) if verdict.covers else None,
        "manifests": verdict.manifests,
        "objects": verdict.objects,
        "bytes": verdict.size,
        "faults": faults,
        "missing": [missing_document(gap) for gap in verdict.missing],
        "waived": [fault_document(fault) for fault in verdict.waived],
        "waivers": [{"id": waiver.id, **waiver.document()} for waiver in verdict.waivers],
        "heads": [head_document(head) for head in verdict.heads],
        "records": list(verdict.records),
        "unknownBeginnings": list(verdict.unknown_beginnings),
        "notYetSigned": list(verdict.not_yet_signed),
    }


def _text(verdict: Verdict, account: str) -> str:
    from keyless.billing.export.plan import describe, describe_fault, describe_waiver
    from keyless.billing.ledger.model import stamp

    lines = [
        f"read {counted(verdict.manifests, 'manifest')} and {counted(verdict.objects, 'object')} of usage"
        f" ({counted(verdict.size, 'byte')})"
        f" of account {account}"
    ]
    if verdict.covers:
        lines.append(f"usage is owed and stored from {stamp(verdict.covers[0])} to {stamp(verdict.covers[1])}")
    if not verdict.manifests:
        lines.append(f"FAILED expected usage of account {account}, found none")
    told = [*map(describe_fault, verdict.faults), *(f"{describe(gap)}: missing" for gap in verdict.missing)]
    if told:
        lines += ["FAILED the first thing that differs:", told[0]]
    lines += [f"{len(told) - 1} more:", *told[1:SHOWN]] if told[1:] else []
    lines += [f"  and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
    if verdict.waivers:
        lines += ["waived:", *map(describe_waiver, verdict.waivers)]
    lines += [f"not signed yet {key}: its signature is told by the next" for key in verdict.not_yet_signed]
    lines += [f"unknown what came before {key}: its collector could not look" for key in verdict.unknown_beginnings]
    if verdict.holds:
        lines.append("ok all of it is there, and is what was stored")
        lines += [
            f"  {head.control_plane}: number {head.sequence}, stored to {stamp(head.stored_to)}, SHA-256 {head.sha256}"
            for head in verdict.heads
        ]
    return "\n".join(lines)
