"""A bar on a terminal, and nothing anywhere else."""

from __future__ import annotations

import io
import sys

import pytest

from keyless.cli.progress import shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


CASES = [(Terminal, "xterm", True), (Terminal, "dumb", False), (io.StringIO, "xterm", False)]


@pytest.mark.parametrize(("stream", "term", "drawn"), CASES)
def test_a_bar_is_drawn_on_a_terminal_alone_and_never_in_colour(monkeypatch, stream, term, drawn):
    out = stream()
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", "1")
    assert list(shown("usage", iter(range(1000)), 1000)) == list(range(1000))
    assert ("Reading usage" in out.getvalue() and "1000/1000" in out.getvalue()) == drawn
    assert bool(out.getvalue()) == drawn
    assert "\x1b[3" not in out.getvalue()
