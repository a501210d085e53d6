"""Files of CloudTrail in the forms that there are, and what is said of those that are none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from keyless.api import Permanent
from keyless.cli.tightening import judged

EVENT = {
    "eventSource": "s3.amazonaws.com",
    "eventName": "PutObject",
    "eventTime": "2026-11-22T07:00:00Z",
    "userIdentity": {"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"userName": "billing"}}},
    "resources": [{"ARN": "arn:aws:s3:::usage/a"}],
}
LIST = {**EVENT, "eventName": "ListObjectsV2", "eventTime": "2026-11-22T08:00:00Z"}
FORMS = {
    "records.json": json.dumps({"Records": [EVENT, LIST]}).encode(),
    "records.json.gz": gzip.compress(json.dumps({"Records": [EVENT, LIST]}).encode()),
    "lines.jsonl": "\n".join(map(json.dumps, (EVENT, LIST))).encode(),
    "list.json": json.dumps([EVENT, LIST]).encode(),
}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": "arn:aws:s3:::usage/*"},
    ],
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_trail_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FORMS[name])
    span, used, found = judged("billing", {"p": POLICY}, [tmp_path / name], tmp_path, keys=False)

    assert (span.first, span.last, span.calls, used) == ("2026-11-22T07:00:00Z", "2026-11-22T08:00:00Z", 2, 2)
    assert found["p"].unused == ("statement 0: s3:DeleteObject",)


@pytest.mark.parametrize("content", [b"", b"no json", b"[1]", b'{"Records": 3}', b"\xff\xfe"])
def test_what_is_no_trail_is_named_with_what_was_expected(content: bytes, tmp_path: Path) -> None:
    for name in ("trail.json", "trail.json.gz"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Permanent, match="expected a file of CloudTrail"):
            judged("billing", {"p": POLICY}, [tmp_path / name], tmp_path, keys=False)


def test_without_a_record_the_way_out_is_said(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="--trail"):
        judged("billing", {"p": POLICY}, [], tmp_path / "nothing", keys=False)
