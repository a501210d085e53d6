"""Walk a path over a JSON text as gjson does: the first member of a name counts, nothing is validated. Pure.

A payload with comments, trailing commas, raw line breaks, a byte order mark or text after the value is read all the
same, as External Secrets' users rely on. Rules: https://github.com/tidwall/gjson
"""

from __future__ import annotations

import re

from keyless.shared_secrets.sync.gjson import modifiers
from keyless.shared_secrets.sync.gjson.budget import Budget
from keyless.shared_secrets.sync.gjson.matching import matches
from keyless.shared_secrets.sync.gjson.paths import (
    ArrayComponent,
    Component,
    array_component,
    last_name,
    object_component,
    selectors,
    split_pipe,
)
from keyless.shared_secrets.sync.gjson.queries import query_matches
from keyless.shared_secrets.sync.gjson.scanning import ATOM, ELEMENT, MEMBER, squash_end
from keyless.shared_secrets.sync.gjson.strict import is_valid
from keyless.shared_secrets.sync.gjson.values import Found, atom_at, number_found, parsed, unescaped

_CONTAINER = re.compile(rb"[{\[]")
_CONTAINERS = {b"{", b"["}
_UNNAMED = re.compile(rb"[\x00-\x1f\[\]{}()#|!]")


def get(text: bytes, path: bytes, budget: Budget, depth: int = 0) -> Found:
    """Return what ``path`` finds in ``text``; raises ``PathFault``."""
    budget.check_nesting(depth)
    budget.spend(4, size=8 * len(path))
    if len(path) > 1:
        made = _made(text, path, budget, depth)
        if isinstance(made, Found):
            return made
        path = made
    search = _Search(text, budget, depth)
    if path[:2] == b".." and len(path) >= 2:
        search.array(0, path[2:], depth)
    else:
        begin = _CONTAINER.search(text)
        budget.spend(size=begin.end() if begin else len(text))
        if begin and begin[0] == b"{":
            search.object(begin.end(), path, depth)
        elif begin:
            search.array(begin.end(), path, depth)
    if search.pipe is not None:
        return get(search.found.raw, search.pipe, budget, depth + 1)
    return search.found


def _made(text: bytes, path: bytes, budget: Budget, depth: int) -> Found | bytes:
    """Return what a modifier, a static value or a multipath makes, or the path that is left to walk."""
    if path[0] in b"@!":
        done = modifiers.run(text, path, budget, depth, get) if path[0] == 0x40 else modifiers.static(path, budget)
        if done is not None:
            made, rest = done
            budget.spend(size=8 * len(made))
            return get(made, rest[1:], budget, depth + 1) if rest[:1] in {b"|", b"."} else parsed(made)
    if path[0] in b"[{":
        chosen, rest = selectors(path)
        if chosen is None or rest[:1] not in {b"", b"|", b"."}:
            return rest
        multipath = _multipath(text, path[:1], chosen, budget, depth)
        return get(multipath, rest[1:], budget, depth + 1) if rest else Found("json", multipath)
    return path


def _multipath(text: bytes, kind: bytes, chosen: list[tuple[bytes, bytes]], budget: Budget, depth: int) -> bytes:
    parts = []
    for name, path in chosen:
        found = get(text, path, budget, depth + 1)
        if found.exists:
            raw = found.raw or found.text() or b"null"
            budget.spend(size=len(raw))
            parts.append(_member_name(name, path, budget) + b":" + raw if kind == b"{" else raw)
    return kind + b",".join(parts) + (b"}" if kind == b"{" else b"]")


def _member_name(name: bytes, path: bytes, budget: Budget) -> bytes:
    if name:
        return name if name[:1] == b'"' and is_valid(name, budget) else modifiers.quoted(name)
    last = last_name(path)
    return modifiers.quoted(b"_" if _UNNAMED.search(last) else last)


class _Search:
    """One walk; ``found`` may be set even where the walk goes on, and a later match then takes its place."""

    def __init__(self, text: bytes, budget: Budget, depth: int) -> None:
        self.text, self.budget, self.depth = text, budget, depth
        self.found = Found()
        self.pipe: bytes | None = None

    def object(self, at: int, path: bytes, depth: int) -> tuple[int, bool]:
        """Look for ``path`` in the object whose content begins at ``at``; returns where it ends and whether it hit.

        Where the text breaks off, the end is past it.
        """
        self.budget.check_nesting(depth)
        component = object_component(path)
        self._piped(component)
        while at < len(self.text):
            member = MEMBER.match(self.text, at)
            if member is None:
                break
            self.budget.spend(2, size=member.end() - at)
            if member[1] is None:
                return member.end(), False
            at, hit = self._value(member.end(), component, depth, fits=self._fits(component, member[1]))
            if hit:
                return at, True
        self.budget.spend(size=len(self.text) - at)
        return self._broken_off, False

    @property
    def _broken_off(self) -> int:
        return len(self.text) + 1

    def _value(self, at: int, component: Component, depth: int, *, fits: bool) -> tuple[int, bool]:
        """Go past the value at ``at``, into it or take it."""
        container = self.text[at : at + 1] in _CONTAINERS
        if container and fits and component.more:
            inner = self.object if self.text[at] == 0x7B else self.array
            return inner(at + 1, component.rest, depth + 1)
        end = squash_end(self.text, at, self.budget) if container else self._atom_end(at)
        hit = fits and not component.more and (container or end <= len(self.text))
        if hit:
            self.found = self.read(at, end)
        return end, hit

    def _atom_end(self, at: int) -> int:
        match = ATOM.match(self.text, at)
        end = match.end() if match else self._broken_off
        self.budget.spend(size=end - at)
        return end

    def read(self, at: int, end: int) -> Found:
        """Return the value between two places."""
        # Numbers and escapes are read a character at a time: dearer than what is copied.
        escapes = self.text.count(b"\\", at, end)
        self.budget.spend(3 + escapes // 2, size=4 * (end - at))
        if self.text[at : at + 1] in _CONTAINERS:
            return Found("json", self.text[at:end])
        atom = atom_at(self.text, at)
        return atom[0] if atom else Found()

    def _fits(self, component: Component, key: bytes) -> bool:
        if b"\\" in key:
            self.budget.spend(4 + key.count(b"\\") // 2)
            key = unescaped(key)
        return matches(key, component.part, self.budget) if component.wild else key == component.part

    def _piped(self, component: Component) -> None:
        if not component.more and component.pipe is not None:
            self.pipe = component.pipe

    def array(self, at: int, path: bytes, depth: int) -> tuple[int, bool]:
        """Look for ``path`` in the list whose content begins at ``at``; returns as ``object`` does."""
        self.budget.check_nesting(depth)
        component = array_component(path, self.budget)
        self._piped(component)
        wanted = -1 if component.counts else _index(component.part)
        walk = _Elements(self, component)
        count = 0
        while at <= len(self.text):
            walk.began(at)
            element = ELEMENT.match(self.text, at)
            if element is None and b'"' in self.text[at:]:
                break  # a string that does not end: the list has no end either
            self.budget.spend(2, size=(element.end() if element else len(self.text)) - at)
            if element is None or element.lastindex is None:
                # As gjson: the end of the text ends a list, too.
                return (element.end() if element else self._broken_off), walk.ended(count)
            if component.query is not None:
                begin = element.start(element.lastindex)
                at = squash_end(self.text, begin, self.budget) if element.lastindex == 1 else element.end()
                if walk.asked(self.read(begin, at)):
                    return at, True
            elif element.lastindex == 2 and wanted != count:
                at = element.end()
            else:
                begin = element.start(element.lastindex)
                at, hit = self._value(begin, component, depth, fits=wanted == count)
                if hit:
                    return at, True
            count += 1
        return self._broken_off, False


class _Elements:
    """What ``#`` asks of the elements of a list."""

    def __init__(self, search: _Search, component: ArrayComponent) -> None:
        self._search, self._component, self._starts = search, component, list[int]()
        self._chosen: list[bytes] = []

    def began(self, at: int) -> None:
        """Keep where an element, or the end of the list, is to be looked for."""
        if self._component.each is not None:
            self._starts.append(at)

    def asked(self, element: Found) -> bool:
        """Try the query on an element; returns whether the search is over."""
        query, search, component = self._component.query, self._search, self._component
        assert query is not None
        if element.kind == "json":
            tried = get(element.raw, query.path, search.budget, search.depth + 1)
        elif query.path:
            return False
        else:
            tried = element
        if not query_matches(query, tried, search.budget):
            return False
        if component.more:
            split = split_pipe(component.rest, search.budget)
            if split:
                component.rest, search.pipe = split
            element = get(element.raw, component.rest, search.budget, search.depth + 1)
        if not query.every:
            search.found = element
            return True
        raw = element.raw or element.text()
        if raw:
            search.budget.spend(size=len(raw))
            self._chosen.append(raw)
        return False

    def ended(self, count: int) -> bool:
        """Make the answer for the whole list; returns whether it is the path's."""
        component, search = self._component, self._search
        if component.counts and component.part == b"#":
            search.found = number_found(b"%d" % count) if component.each is None else self._of_each(component.each)
            return True
        if component.query is not None and component.query.every and not search.found.exists:
            search.found = Found("json", b"[" + b",".join(self._chosen) + b"]")
        return False

    def _of_each(self, path: bytes) -> Found:
        search, parts = self._search, []
        split = split_pipe(path, search.budget)
        if split:
            path, search.pipe = split
        for start in self._starts:
            begin = modifiers.value_start(search.text, start)
            if begin is None or search.text[begin] == 0x5D:
                continue
            read = modifiers.any_value(search.text, begin, search.budget)
            found = get(read[0].raw, path, search.budget, search.depth + 1) if read else Found()
            if found.exists:
                raw = found.raw or found.text()
                search.budget.spend(size=len(raw))
                parts.append(raw)
        return Found("json", b"[" + b",".join(parts) + b"]")


def _index(part: bytes) -> int:
    # Nine digits are more than any payload has elements.
    return int(part) if re.fullmatch(rb"0*[0-9]{1,9}", part) else -1
