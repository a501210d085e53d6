"""A report and its signature beside it: written together, and whether one is of the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from keyless.api import Permanent
from keyless.billing.export.keys import Signing, Verifying
from keyless.billing.export.output import write_new
from keyless.billing.export.plan import Request
from keyless.billing.export.service import Export
from keyless.billing.export.updating import FileTarget, source_bytes
from keyless.billing.export.verifying import Known
from keyless.billing.ledger.model import Malformed
from keyless.billing.ledger.signed import SUFFIX, Inflated, Statement, signature_untrusted, statement_untrusted


def signature_file(report: Path) -> Path:
    """Where the signature of a report lies."""
    return report.with_name(f"{report.name}{SUFFIX}")


def write_signed(out: Path, made: Export, request: Request, key: Signing | None) -> None:
    """Write the report, and before it has its name its signature: there is no report without the one it was to have."""
    if key is None:
        write_new(out, made.archive)
        return
    inflated = Inflated()

    def seen() -> Iterator[bytes]:
        for piece in made.archive:
            inflated.add(piece)
            yield piece

    def sign() -> None:
        statement = Statement(request.account, *request.period, inflated.sha256(), made.heads)
        # One that an interrupted export left is of no report: it is replaced.
        FileTarget(signature_file(out)).replace(iter([key.sign(statement.written()).written()]))

    write_new(out, seen(), before_named=sign)


def check_signature(report: Path, signature: Path, key: Verifying, account: str) -> tuple[str, Known]:
    """What is wrong with the signature (empty: nothing), and the heads that it vouches for."""
    try:
        found = signature_untrusted(str(signature), source_bytes(signature))
        if not key.holds(found):
            return f"{signature}: expected a signature of this key, found another's or one of other words", Known("")
        statement = statement_untrusted(str(signature), found.statement)
        inflated = Inflated()
        inflated.add(source_bytes(report))
        sha256 = inflated.sha256()
    except Malformed as error:
        raise Permanent(str(error)) from None
    if statement.account != account:
        return f"{signature}: expected account {account!r}, found {statement.account!r}", Known("")
    if statement.sha256 != sha256:
        return f"{report}: expected the report with SHA-256 {statement.sha256}, found {sha256}", Known("")
    return "", Known(str(signature), statement.heads)
