"""A report's file when its process ends at any step: the old one or the whole new one, and nothing is left for long."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from keyless.api import Permanent
from keyless.billing.export import output
from keyless.billing.export.output import must_be_writable, partial, write_new
from keyless.billing.export.updating import FileTarget

OLD, NEW = b"old report", [b"new ", b"report"]
STEPS = {
    os: ("open", "fsync", "link", "lstat"),
    Path: ("chmod", "replace", "rename", "unlink"),
    output.tempfile: ("mkstemp",),
    output.fcntl: ("flock",),
}


class KilledHere(BaseException):
    """The process ends at this call, before or after it."""


class Process:
    """Ends at its n-th step; whatever it does after that does not happen."""

    def __init__(self, patched, last):
        self.left, self.steps, self._opened = last, [], []
        for module, names in STEPS.items():
            for name in names:
                patched.setattr(module, name, self._step(getattr(module, name), name))

    def _step(self, real, name):
        def step(*args, **kwargs):
            self._passed(f"before {name}")
            found = real(*args, **kwargs)
            if name == "open":
                self._opened.append((found, os.fstat(found)))
            self._passed(f"after {name}")
            return found

        return step

    def ended(self):
        """What it had open is closed, and its locks are gone."""
        for handle, was in self._opened:
            with suppress(OSError):
                if os.path.samestat(os.fstat(handle), was):
                    os.close(handle)

    def _passed(self, step):
        self.left -= 1
        if self.left < 0:
            raise KilledHere
        self.steps.append(step)


def export(out):
    must_be_writable(out)
    write_new(out, iter(NEW))


def update(out):
    FileTarget(out).replace(iter(NEW))


def killed_at(last, run, out):
    """Whether there was such a step."""
    with pytest.MonkeyPatch.context() as patched:
        process = Process(patched, last)
        try:
            run(out)
        except KilledHere:
            process.ended()
            return True
    assert {"after mkstemp", "after fsync"} <= set(process.steps)
    return False


@pytest.mark.parametrize(
    ("run", "before"), [(export, None), (update, OLD), (update, None)], ids=["export", "update", "first update"]
)
def test_at_each_step_the_name_has_the_old_or_the_whole_new_and_the_next_run_clears_up(tmp_path, run, before):
    at, left_once, there_once = 0, False, False
    while True:
        folder = tmp_path / str(at)
        folder.mkdir()
        out = folder / "october.tgz"
        if before is not None:
            out.write_bytes(before)
        if not killed_at(at, run, out):
            break
        left = {path.name for path in folder.iterdir()} - {out.name}
        found = out.read_bytes() if out.exists() else None
        assert found in (before, b"".join(NEW))
        left_once, there_once = left_once or bool(left), there_once or found == b"".join(NEW)
        with suppress(Permanent):
            run(out)
        if run is export and found is not None:
            # The command says that there is a report, and reads and writes nothing more; another one clears up.
            with partial(out):
                pass
        assert [path.name for path in folder.iterdir()] == [out.name]
        assert out.read_bytes() == b"".join(NEW)
        at += 1
    assert left_once, "a process that ends leaves something"
    assert there_once, "at last the new one has the name"
    assert at > 8


def test_what_another_run_is_writing_and_what_a_stranger_left_is_not_taken_away(tmp_path):
    out, stranger = tmp_path / "october.tgz", tmp_path / "precious"
    stranger.write_bytes(b"precious")
    with partial(out) as (path, _):
        link = path.with_name(f"{path.name}-link")
        link.symlink_to(stranger)
        with partial(out) as (other, _):
            assert path.exists()
            assert other != path
        with partial(tmp_path / "november.tgz"):
            assert path.exists()
        assert link.is_symlink()
    assert stranger.read_bytes() == b"precious"
    assert not path.exists()


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "a\udcff.tgz"], ids=["as long as can be", "unicode", "bytes"])
def test_whatever_a_file_may_be_called_it_is_written(tmp_path, name):
    export(tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"".join(NEW)


@pytest.mark.parametrize("name", ["n" * 256, "a\0b", "none/x.tgz"], ids=["too long", "a null", "no folder"])
def test_a_name_that_cannot_be_is_told_before_anything_is_read(tmp_path, name):
    with pytest.raises(Permanent, match="could not be written"):
        must_be_writable(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
