"""What waits on disk is what was added, in its order, whatever the disk does."""

from __future__ import annotations

import errno
import io
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Permanent
from keyless.billing.export.spilling import Spilled
from keyless.billing.ledger.report_file import UsageWriter
from unit.billing.bucket import DAY, HOUR


@given(st.lists(st.binary(max_size=9), max_size=12), st.integers(0, 40))
@effort(50)
def test_what_was_added_comes_back_whether_or_not_it_went_to_disk(pieces, limit):
    spilled = Spilled(limit)
    for piece in pieces:
        spilled.append(piece)
    assert b"".join(spilled) == b"".join(pieces)


def test_where_no_file_can_be_made_memory_holds_it(monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: (_ for _ in ()).throw(FileNotFoundError(errno.ENOENT, "no")))
    spilled = Spilled(1)
    for piece in (b"abc", b"def"):
        spilled.append(piece)
    assert b"".join(spilled) == b"abcdef"


class _Full(io.BytesIO):
    def writelines(self, lines):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told(monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", _Full)
    with pytest.raises(Permanent, match="No space left on device"):
        Spilled(1).append(b"abc")


def test_a_report_is_the_same_bytes_from_memory_and_from_disk():
    found = []
    for pieces in (None, Spilled(64)):
        writer = UsageWriter("acme", pieces)
        for hour in range(200):
            rows = [((f"plane-{n}", "g", "v1", f"Kind{hour * n}"), n + 1) for n in range(40)]
            writer.add_window(DAY + hour * HOUR, DAY + (hour + 1) * HOUR, rows)
        found.append(b"".join(writer.chunks()))
        assert writer.size == len(found[-1])
    assert found[0] == found[1]
