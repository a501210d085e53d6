"""Files of CloudTrail in the forms that there are, and what is said of those that are none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Permanent
from keyless.cli import dispatch, exits
from keyless.cli.tightening import inline_policies, judged, named

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
    "unzipped.json.gz": json.dumps({"Records": [EVENT, LIST]}).encode(),
    "zipped.json": gzip.compress(json.dumps({"Records": [EVENT, LIST]}).encode()),
    "parts.json.gz": gzip.compress(json.dumps(EVENT).encode() + b"\n") + gzip.compress(json.dumps(LIST).encode()),
    "marked.json": b"\xef\xbb\xbf" + json.dumps({"Records": [EVENT, LIST]}).encode(),
    "redirected.json": json.dumps({"Records": [EVENT, LIST]}, indent=2).replace("\n", "\r\n").encode("utf-16"),
    "lines.jsonl": "\n".join(map(json.dumps, (EVENT, LIST))).encode(),
    "spanning.json": "\n\n".join(json.dumps(each, indent=2) for each in (EVENT, LIST)).encode() + b"\n",
    "list.json": json.dumps([EVENT, LIST]).encode(),
    "looked-up.json": json.dumps({"Events": [{"CloudTrailEvent": json.dumps(e)} for e in (EVENT, LIST)]}).encode(),
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


WHOLE = json.dumps({"Records": [EVENT, LIST]}).encode()
PACKED = gzip.compress(WHOLE)
NO_TRAILS = {
    "nothing": (b"", "an empty file"),
    "blank": (b" \n\n", "an empty file"),
    "no json": (b"no json", "no JSON at line 1"),
    "a page": (b"<html>\n<body>\n", "no JSON at line 1"),
    "a list of numbers": (b"[1, 2]", "no event but 2 × a JSON number"),
    "no list of records": (b'{"Records": 3}', "no event but 1 × an object without eventTime"),
    "no records": (b'{"Records": []}', "no event at all"),
    "no text": (b"\x80\x81\x82\x83\x84", "text in no encoding of Unicode"),
    "half a UTF-16": (b"\xff\xfe{\x00}", "text in no encoding of Unicode"),
    "a cut off gzip": (PACKED[:-9], "a gzip that is damaged or cut off"),
    "a gzip of nothing more than its head": (PACKED[:6], "a gzip that is damaged or cut off"),
    "a damaged gzip": (PACKED[:30] + b"\xff\xff\xff\xff" + PACKED[34:], "a gzip that is damaged or cut off"),
    "a gzip with a wrong sum": (PACKED[:-8] + bytes(8), "a gzip that is damaged or cut off"),
    "a cut off document": (WHOLE[:-9], "no JSON at line 1"),
    "a cut off line": (FORMS["lines.jsonl"][:-9], "no JSON at line 2"),
    "a line of another kind": (FORMS["lines.jsonl"] + b"\n\n# end", "no JSON at line 4"),
    "a deep document": (b"[" * 200_000, "nested deeper than any event"),
    "a deep line": (FORMS["lines.jsonl"] + b"\n" + b"[" * 200_000, "nested deeper than any event"),
    "a number without end": (b"9" * 5000, "JSON that is not read"),
    "a digest": (b'{"digestStartTime": "2026-11-22T07:00:00Z", "logFiles": []}', "no event at all"),
    "another's events": (b'{"kind": "Event", "apiVersion": "audit.k8s.io/v1"}', "1 × an object without eventTime"),
}


@pytest.mark.parametrize("name", ["trail.json", "trail.json.gz"])
@pytest.mark.parametrize("kind", NO_TRAILS)
def test_what_is_no_trail_is_named_with_what_it_is(kind: str, name: str, tmp_path: Path) -> None:
    content, found = NO_TRAILS[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Permanent, match=rf"{name}: expected a file of CloudTrail.*; found .*{found}.*\. Next: "):
        judged("billing", {"p": POLICY}, [tmp_path / name], tmp_path, keys=False)


def test_a_file_that_is_not_there_and_a_folder_without_any_are_told(tmp_path: Path) -> None:
    for path, found in ((tmp_path / "none.json", "no file"), (tmp_path, "a folder without .json, ")):
        with pytest.raises(Permanent, match=found):
            judged("billing", {"p": POLICY}, [path], tmp_path, keys=False)


def test_a_folder_is_read_whole_and_its_digests_are_counted(tmp_path: Path) -> None:
    (tmp_path / "CloudTrail" / "22").mkdir(parents=True)
    for name, content in FORMS.items():
        (tmp_path / "CloudTrail" / "22" / name).write_bytes(content)
    (tmp_path / "digest.json").write_text('{"digestStartTime": "2026-11-22T07:00:00Z", "logFiles": []}')
    (tmp_path / "readme.txt").write_text("not asked for")
    span, used, _ = judged("billing", {"p": POLICY}, [tmp_path], tmp_path, keys=False)

    assert (span.calls, used) == (2 * len(FORMS), 2 * len(FORMS))
    assert span.skipped == (("a digest file, which names CloudTrail's files and holds no event", 1),)


def test_what_is_no_event_among_events_is_skipped_and_counted(tmp_path: Path) -> None:
    nobody = {name: value for name, value in EVENT.items() if name != "userIdentity"}
    (tmp_path / "trail.json").write_text(json.dumps({"Records": [EVENT, 3, nobody, nobody, LIST]}))
    span, used, _ = judged("billing", {"p": POLICY}, [tmp_path / "trail.json"], tmp_path, keys=False)

    assert (span.calls, used) == (2, 2)
    assert dict(span.skipped) == {
        "a JSON number": 1,
        "an event without userIdentity, which tells nobody's call": 2,
    }


@pytest.mark.parametrize("gap", ["", "\n"])
def test_a_document_beyond_the_bound_is_refused_before_it_is_read(
    gap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyless.cli.trails.MOST_CHARACTERS", 2000)
    # What unzips to far more than it is on disk, in one line and in several.
    (tmp_path / "trail.json").write_bytes(gzip.compress(f"[{gap}{' ' * 10_000_000}".encode()))
    with pytest.raises(Permanent, match=r"over 2,000 characters.*jq -c"):
        judged("billing", {"p": POLICY}, [tmp_path / "trail.json"], tmp_path, keys=False)


def test_a_file_of_many_lines_has_no_bound_but_that_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyless.cli.trails.MOST_CHARACTERS", 2000)
    (tmp_path / "trail.jsonl").write_text(f"{json.dumps(EVENT)}\n" * 100)
    span, used, _ = judged("billing", {"p": POLICY}, [tmp_path / "trail.jsonl"], tmp_path, keys=False)
    assert (span.calls, used) == (100, 100)


@effort(150)
@given(st.sampled_from(sorted(FORMS)), st.integers(0, 2000), st.integers(0, 255), st.booleans())
def test_a_damaged_file_is_told_or_loses_no_event_unseen(name: str, at: int, byte: int, cut: bool) -> None:
    whole = FORMS[name]
    at %= len(whole)
    damaged = whole[:at] if cut else whole[:at] + bytes([byte]) + whole[at + 1 :]
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(damaged)
        try:
            span, _, _ = judged("billing", {"p": POLICY}, [path], Path(folder), keys=False)
        except Permanent:
            return
    # Where each document stands alone nobody sees that the last is missing.
    alone = cut and name in ("lines.jsonl", "parts.json.gz", "spanning.json")
    assert span.calls + sum(count for _, count in span.skipped) in ((1, 2) if alone else (2,))


def test_without_a_record_the_way_out_is_said(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="--trail"):
        judged("billing", {"p": POLICY}, [], tmp_path / "nothing", keys=False)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("keyless-billing", ("keyless-billing", "")),
        ("arn:aws:iam::111122223333:role/keyless-billing", ("keyless-billing", "111122223333")),
        ("arn:aws-us-gov:iam::111122223333:role/team/a/billing", ("billing", "111122223333")),
    ],
)
def test_a_role_is_named_or_given_by_its_arn(written: str, meant: tuple[str, str]) -> None:
    assert named(written) == meant


NO_ROLES = [
    "",
    " ",
    "a b",
    "a/b",
    "n" * 65,
    "billing\n",
    "r\N{LATIN SMALL LETTER O WITH DIAERESIS}le",
    "arn:",
    "arn:aws:s3:::x",
    "arn:aws:iam::111122223333:role/",
    "arn:aws:iam::111122223333:user/billing",
    "arn:aws:sts::111122223333:assumed-role/billing/session",
]


@pytest.mark.parametrize("written", NO_ROLES)
def test_what_names_no_role_is_refused_before_aws_is_asked(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["identity", "tighten", written]) == exits.WRONG_USE
    assert "role" in capsys.readouterr().err


def test_a_trail_that_is_not_there_is_told_before_aws_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["identity", "tighten", "billing", "--trail", "not-there"]) == exits.WRONG_USE
    assert "not-there: no such file" in capsys.readouterr().err


def test_without_the_local_space_it_is_told_where_calls_are_read_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("keyless.cli.tightening.has_local", lambda: False)
    with pytest.raises(Permanent, match="name CloudTrail's files with --trail"):
        judged("billing", {}, [], tmp_path, keys=False)


class OfAccount:
    """AWS as somebody of account 111122223333 sees it; every role is there, without a policy."""

    async def call(self, service: str, operation: str, **_: str) -> dict[str, object]:
        return {"sts": {"Account": "111122223333"}, "iam": {"PolicyNames": []}}[service]


async def test_a_role_of_another_account_is_not_looked_for_in_ones_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("keyless.aws.Session.from_environment", lambda _: OfAccount())
    assert await inline_policies("billing", "111122223333") == {}
    with pytest.raises(Permanent, match="account 444455556666"):
        await inline_policies("billing", "444455556666")
