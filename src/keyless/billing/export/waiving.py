"""From the words of a person to a waiver. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from keyless.billing.ledger.model import Malformed, moment_untrusted
from keyless.billing.ledger.waivers import TEXT_LIMIT, Waiver


def waiver_of(
    said: Mapping[str, str],
    *,
    stretch: tuple[str, str, str],
    key: str,
    count: bool,
    now: datetime,
) -> Waiver:
    """The waiver of a stretch (control plane, from, to) or of the object ``key``.

    ``said`` holds account, by, why and assumed. Raises ``ValueError`` with what was expected.
    """
    for flag, text in said.items():
        if not text.strip() or len(text) > TEXT_LIMIT or not text.isprintable():
            raise ValueError(f"--{flag}: expected a line of text of at most {TEXT_LIMIT} characters")
    plane, from_, to = stretch
    decided = said["account"], said["by"], said["why"], said["assumed"], now.replace(microsecond=0)
    if bool(key) == any(stretch):
        raise ValueError("expected either --object, or --control-plane with --from and --to")
    if key:
        if not key.startswith(tuple(f"{p}account={said['account']}/" for p in ("", "manifest/", "waiver/"))):
            raise ValueError(f"--object: expected a key below account={said['account']}/, found {key!r}")
        return Waiver(*decided, object_key=key, counted=count)
    if count:
        raise ValueError("--count: expected together with --object")
    if not all(stretch):
        raise ValueError("expected --control-plane, --from and --to together")
    start, end = _moment("--from", from_), _moment("--to", to)
    if start >= end:
        raise ValueError(f"--to: expected a time after {from_}, found {to}")
    return Waiver(*decided, control_plane=plane, start=start, end=end)


def _moment(flag: str, text: str) -> datetime:
    try:
        return moment_untrusted(text)
    except (Malformed, OverflowError) as error:
        raise ValueError(f"{flag}: {error}") from None
