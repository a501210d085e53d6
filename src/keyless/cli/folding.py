"""Text folded to the width of a terminal: prose between words, commands so that a shell reads them unchanged. Pure.

What does not change: every word of prose, and what a command means. Lines of documents are cut where the command that
prints them has a long form, and end in ``…`` then.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

COMMAND, DOCUMENT = "fix  ", "change  "
CUT = "…"
# A command's further lines; those that go on in the middle of a word begin at the very left, or the shell sees two.
_FURTHER = " " * 4
_NARROWEST = 40


def folded(text: str, width: int, *, cut: bool = False) -> str:
    """``text`` in lines of at most ``width`` columns; as it is on a terminal too narrow to read on at all.

    ``cut``: lines of documents too, which stay whole otherwise.
    """
    if width < _NARROWEST:
        return text
    return "\n".join(part for line in text.split("\n") for part in _folded_line(line, width, cut=cut))


def _folded_line(line: str, width: int, *, cut: bool) -> Iterator[str]:
    words = line.lstrip(" ")
    if len(line) <= width:
        yield line
    elif words.startswith(COMMAND):
        label = line[: len(line) - len(words.removeprefix(COMMAND).lstrip(" "))]
        yield from folded_command(line.removeprefix(label), width, label=label)
    elif words.startswith(DOCUMENT):
        yield line[: width - len(CUT)] + CUT if cut else line
    else:
        yield from _folded_prose(line, width)


def _folded_prose(line: str, width: int) -> list[str]:
    """Folded below where the words begin."""
    words = line.lstrip(" ")
    label, gap, rest = words.partition("  ")
    if gap and " " not in label:
        words = rest.lstrip(" ")
    begin = len(line) - len(words)
    if begin > width // 2:  # no column is left to fold into
        begin = 0
    return textwrap.wrap(
        line[begin:],
        width,
        initial_indent=line[:begin],
        subsequent_indent=" " * begin,
        break_on_hyphens=False,
    ) or [""]


def folded_command(command: str, width: int, *, label: str = "") -> Iterator[str]:
    r"""A command in lines that a shell joins to the same command; the first begins with ``label``.

    Between words a line ends with " \", and inside one with "\" (in single quotes: "'\", and the next begins with "'").
    """
    line, indent = label, len(label)
    for word, inside in _words(command):
        # A word has room for itself and for what says that it goes on.
        if len(line) > indent and len(line) + 1 + len(word) > width - 2:
            yield f"{line} \\"
            line, indent = _FURTHER, len(_FURTHER)
        elif len(line) > indent:
            line += " "
        for letter, quoted in zip(word, inside, strict=True):
            if len(line) + len(letter) > width - 2:
                yield f"{line}'\\" if quoted else f"{line}\\"
                line = "'" if quoted else ""
                indent = 0
            line += letter
    yield line


def _words(command: str) -> Iterator[tuple[list[str], list[bool]]]:
    """Each word as letters, an escape with what it escapes, and whether a letter is inside single quotes."""
    letters: list[str] = []
    inside: list[bool] = []
    quote, at = "", 0
    while at < len(command):
        letter = command[at]
        if letter == "\\" and quote != "'":
            letter = command[at : at + 2]
        if letter == " " and not quote:
            yield letters, inside
            letters, inside = [], []
        else:
            letters.append(letter)
            inside.append(quote == "'")  # the quote that closes still is, the one that opens is not yet
            if letter in ("'", '"') and quote in ("", letter):
                quote = "" if quote else letter
        at += len(letter)
    yield letters, inside
