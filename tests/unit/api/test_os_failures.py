"""Every number of the operating system's becomes one of our failures, with a next step."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from keyless.api import Permanent, Transient, os_failure


@pytest.mark.parametrize("number", sorted(errno.errorcode), ids=lambda number: errno.errorcode[number])
def test_every_number_is_named_with_its_subject_and_a_next_step(number: int) -> None:
    told = os_failure(OSError(number, os.strerror(number), "/var/spool/x"))
    assert isinstance(told, Permanent | Transient)
    found, _, step = str(told).partition("; ")
    assert found == f"/var/spool/x: {os.strerror(number)}"
    assert step


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), Permanent, "free some space"),
        (OSError(errno.EADDRINUSE, "Address already in use"), Permanent, "another process has it"),
        (PermissionError(errno.EACCES, "Permission denied", "/data"), Permanent, "/data: Permission denied"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), Transient, "Connection refused"),
        (TimeoutError(), Transient, "TimeoutError"),
        (socket.gaierror(-3, "Temporary failure in name resolution"), Transient, "name resolution"),
        (OSError("no number at all"), Permanent, "no number at all"),
        (OSError(errno.EXDEV, "Invalid link", b"/a", None, b"/b"), Permanent, "/a and /b"),
    ],
    ids=str,
)
def test_who_must_act_is_told_by_the_class(error: OSError, kind: type, words: str) -> None:
    told = os_failure(error)
    assert type(told) is kind
    assert words in str(told)
