"""Files of CloudTrail on disk: found below a folder, unzipped, decoded and parsed within bounds.

What cannot be read whole is refused, since a lost call makes a permission that is used look unused.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import IO, cast

from keyless.api import Permanent
from keyless.identity.tighten import Event, events_of

MOST_CHARACTERS = 128 * 2**20
"""Of one JSON document (a line, or a file that is one): CloudTrail ends its files at about 50 MB."""
_SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
_GZIP = b"\x1f\x8b"
_EXPECTED = "a file of CloudTrail: JSON with Records, what lookup-events answers, or an event on each line"
_DECODER = json.JSONDecoder()


def events_in(trails: list[Path], skipped: Counter[str]) -> Iterator[Event]:
    """The events of each file; ``skipped`` counts what is none, by its kind.

    Raises ``Permanent`` where a file cannot be read whole or holds other things only.
    """
    some = False
    for path in (each for trail in trails for each in _files(trail)):
        others: Counter[str] = Counter()
        events = 0
        for found in _parts_of(path):
            if isinstance(found, str):
                others[found] += 1
            else:
                events += 1
                yield found
        # A digest lies beside the files that it names, and is no mistake; anything else was meant to be a trail.
        if not events and any("digest file" not in what for what in others):
            raise _refused(path, f"no event but {_listed(others)}", "name the files that CloudTrail stored")
        skipped.update(others)
        some = some or bool(events)
    if not some:
        raise _refused(trails[0], "no event at all", "name the files that CloudTrail stored")


def _files(trail: Path) -> list[Path]:
    if not trail.is_dir():
        return [trail]
    found = sorted(path for path in trail.rglob("*") if path.name.endswith(_SUFFIXES) and path.is_file())
    if not found:
        raise _refused(trail, f"a folder without {', '.join(_SUFFIXES)}", "copy CloudTrail's files there, or name one")
    return found


def _parts_of(path: Path) -> Iterator[Event | str]:
    try:
        for document in _documents(path):
            yield from events_of(document)
    except FileNotFoundError:
        raise _refused(path, "no file", "look at its name") from None
    except (gzip.BadGzipFile, zlib.error, EOFError):
        raise _refused(path, "a gzip that is damaged or cut off", "copy it from the bucket again") from None
    except OSError as error:
        raise _refused(path, f"what cannot be read: {error.strerror or type(error).__name__}", "mend that") from None
    except UnicodeDecodeError:
        raise _refused(path, "text in no encoding of Unicode", "copy it from the bucket again") from None
    except RecursionError:
        raise _refused(path, "JSON nested deeper than any event", "take that document out") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _refused(path, f"what is no JSON at {where}: {error.msg}", "copy it from the bucket again") from None
    except ValueError as error:  # a number of ten thousand digits
        raise _refused(path, f"JSON that is not read: {type(error).__name__}", "take that document out") from None


def _documents(path: Path) -> Iterator[object]:
    """One after the other, so that a file of many events never lies in memory whole."""
    with path.open("rb") as file, _text(file) as text:
        number, begun = 0, False
        while line := _bounded(path, text, ""):
            number += 1
            if not line.strip():
                continue
            try:
                document = json.loads(line)
            except json.JSONDecodeError as error:
                if begun:
                    raise json.JSONDecodeError(error.msg, "\n" * (number - 1) + line, error.pos + number - 1) from None
                yield from _spanning(_bounded(path, text, line))
                return
            begun = True
            yield document
    if not begun:
        raise _refused(path, "an empty file", "copy it from the bucket again")


def _spanning(text: str) -> Iterator[object]:
    """Documents of several lines each, as jq prints them."""
    at = len(text) - len(text.lstrip())
    while at < len(text):
        document, at = _DECODER.raw_decode(text, at)
        yield document
        while at < len(text) and text[at].isspace():
            at += 1


def _bounded(path: Path, text: IO[str], begun: str) -> str:
    """The next line; the rest of the file where one has ``begun``."""
    room = MOST_CHARACTERS - len(begun) + 1
    found = begun + text.read(room) if begun else text.readline(room)
    if len(found) > MOST_CHARACTERS:
        raise _refused(path, f"a document of over {MOST_CHARACTERS:,} characters", "split it: jq -c '.Records[]'")
    return found


def _text(file: BufferedReader) -> TextIOWrapper:
    """Unzipped by what it begins with: browsers and tools unzip files and leave their names."""
    binary = gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == _GZIP else file
    head = cast(BufferedReader, binary).peek(4)[:4]
    return TextIOWrapper(cast(IO[bytes], binary), encoding=json.detect_encoding(head), newline="\n")


def _listed(others: Counter[str]) -> str:
    return "; ".join(f"{count:,} × {what}" for what, count in sorted(others.items()))


def _refused(path: Path, found: str, step: str) -> Permanent:
    return Permanent(f"{path}: expected {_EXPECTED}, perhaps gzipped; found {found}. Next: {step}")
