"""Lines that fit a terminal: all that verify and explain say of every known fault, and texts that nobody thought of."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keyless.cli.folding import folded, folded_command
from keyless.cli.output import coloured
from keyless.identity import explain
from keyless.identity.explain import Answer, Question, Verdict
from keyless.identity.verify import Chain, Facts, render_text, verify
from unit.identity.verify.test_fixes import BROKEN

WIDTHS = [40, 80, 100, 132]
QUESTION = Question("default", "vector", "s3:PutObject", "arn:aws:s3:::usage/a", {})


def texts(facts: Facts) -> Sequence[str]:
    links = tuple(verify(facts))
    answer = Answer(QUESTION, Verdict.DENIED, facts.role_arn, "irsa", links)
    return render_text([Chain(facts, links)]), explain.render_text(answer)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("facts", BROKEN)
def test_every_line_about_every_fault_fits(facts: Facts, width: int) -> None:
    for text in texts(facts):
        shown = folded(text, width, cut=True)
        assert [line for line in shown.split("\n") if len(line) > width] == []
        assert re.sub("\x1b\\[[0-9]+m", "", coloured(shown)) == shown


def as_shells_read(commands: Sequence[str]) -> list[str]:
    """Each as bash prints it once it has parsed it, without running it; two quoted parts side by side are one."""
    script = "\n".join(f"f{number}() {{\n{command}\n}}" for number, command in enumerate(commands))
    shown = "\n".join(f"declare -f f{number}; echo =====" for number in range(len(commands)))
    outcome = subprocess.run(["bash", "-c", f"{script}\n{shown}"], capture_output=True, text=True, check=True)
    return outcome.stdout.replace("''", "").replace("\\\n", "").split("=====\n")[:-1]


def test_every_printed_command_is_the_same_to_a_shell_in_one_line_and_in_many() -> None:
    commands = sorted({link.fix for facts in BROKEN for link in verify(facts) if link.fix})
    assert len(commands) > 10
    made = [command for width in WIDTHS for command in commands]
    broken = ["\n".join(folded_command(command, width)) for width in WIDTHS for command in commands]
    assert any("\n" in command for command in broken)
    assert as_shells_read(broken) == as_shells_read(made)


def joined(text: str) -> str:
    """What POSIX makes of lines: a backslash and a line end outside single quotes are nothing."""
    return re.sub("'\\\\\n'", "", text).replace("\\\n", "")


LETTERS = ["a", "b c", "-", "_:/", "{", "}", '"', "'", "$", "\\", "é", "y" * 40]
WORD = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=12).map("".join).map(shlex.quote)


@settings(max_examples=100, deadline=None)
@given(st.lists(WORD | st.just("&&"), min_size=1, max_size=8), st.integers(40, 120), st.integers(0, 21))
@example(["aws", shlex.quote("x" * 200)], 40, 21)
def test_a_folded_command_has_the_words_of_the_whole_one(words: list[str], width: int, label: int) -> None:
    command = " ".join(words)
    lines = list(folded_command(command, width, label=" " * label))
    assert max(map(len, lines)) <= width
    # The label is no part of it; blanks between words count once.
    assert shlex.split(joined("\n".join([lines[0][label:], *lines[1:]]))) == shlex.split(command)


PIECES = ["a", " ", "  ", "word ", "- ", ":", "é", "a/b", "x" * 50, "      "]
LINE = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@given(st.lists(LINE, max_size=2).map("\n".join), st.integers(40, 200))
def test_a_fold_keeps_every_letter_and_fits(text: str, width: int) -> None:
    shown = folded(text, width)
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", text)
    assert all(len(line) <= width for line in shown.split("\n"))


def test_prose_folds_below_its_words_and_a_command_between_them() -> None:
    first, second = folded(f"           expected  {'word ' * 16}".rstrip(), 80).splitlines()
    assert first.startswith("           expected  word")
    assert second.startswith(" " * 21 + "word")
    first, second = folded(f"           fix       kubectl {'word ' * 14}".rstrip(), 80).splitlines()
    assert first.startswith("           fix       kubectl word")
    assert first.endswith(" \\")
    assert second.startswith("    word")


def test_a_terminal_that_is_too_narrow_gets_the_lines_as_they_are() -> None:
    assert folded("word " * 30, 20) == "word " * 30
