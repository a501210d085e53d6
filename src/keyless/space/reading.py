"""Looking values up in what Helm rendered, and saying what is wrong with them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, TypeVar

from keyless.api import Arn
from keyless.gotemplate.times import duration_of
from keyless.shared_secrets.stores.scopes import Scope, read_scopes

ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
KubeObject = dict[str, Any]
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_LABEL_KEY = re.compile(
    r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII
)
T = TypeVar("T")


class Reader:
    """Looks values up by path and collects what is wrong with them; null means the default, as in Helm."""

    def __init__(self, document: object) -> None:
        self.faults: list[str] = []
        self._document = document

    def get(self, path: str, default: T) -> T:
        """The value at ``path``, which must be of the default's type."""
        found = self._find(path)
        if found is None:
            return default
        if not isinstance(found, type(default)):
            self.faults.append(f"{path}: expected {_WORDS[type(default)]}, found {found!r}")
            return default
        return found

    def word(self, path: str, default: str, *, one_of: tuple[str, ...]) -> str:
        """A string out of a few."""
        found = self.get(path, default)
        if found not in one_of:
            expected = " or ".join(word or '""' for word in one_of)
            self.faults.append(f"{path}: expected {expected}, found {found!r}, which is not implemented")
            return default
        return found

    def count(self, path: str, default: int, *, most: int | None = None) -> int:
        """A whole number from 0; Helm renders 3 as 3.0 at times."""
        found = self._find(path)
        if found is None:
            return default
        whole = isinstance(found, int | float) and not isinstance(found, bool) and found == int(found) >= 0
        if whole and isinstance(found, int | float) and (most is None or found <= most):
            return int(found)
        self.faults.append(f"{path}: expected a whole number from 0{f' to {most}' if most else ''}, found {found!r}")
        return default

    def optional_count(self, path: str) -> int | None:
        """A whole number from 0, or None where there is none."""
        return None if self._find(path) is None else self.count(path, 0)

    def day(self, path: str) -> date | None:
        """A day as 2026-01-31; None where it is empty."""
        found = self.get(path, "")
        if not found:
            return None
        try:
            day = date.fromisoformat(found)
        except ValueError:
            day = None
        # Python reads other forms of ISO 8601, too; the schema does not.
        if day is None or day.isoformat() != found:
            self.faults.append(f"{path}: expected a day as 2026-01-31, found {found!r}")
            return None
        return day

    def minutes(self, path: str, *, most: int = 60) -> int:
        """A Go duration of whole minutes from one to ``most``, in seconds; 0 where it is empty."""
        found = self.get(path, "")
        seconds, rest = divmod(duration_of(found) or 0, 10**9)
        if not found:
            return 0
        if rest or seconds % 60 or not 60 <= seconds <= 60 * most:
            self.faults.append(f"{path}: expected whole minutes from 1m to {most}m, as 5m, found {found!r}")
            return 0
        return seconds

    def tristate(self, path: str) -> bool | None:
        """true, false, or None for auto; ``--set-string`` makes words of them."""
        found = self._find(path)
        known: dict[object, bool | None] = {True: True, "true": True, False: False, "false": False}
        if found in (None, "auto"):
            return None
        if isinstance(found, bool | str) and found in known:
            return known[found]
        self.faults.append(f"{path}: expected true, false or auto, found {found!r}")
        return None

    def label_keys(self, path: str) -> tuple[str, ...]:
        """A list of the keys of labels; a comma separates them on their way to the component."""
        found = self._find(path)
        if found is None:
            return ()
        if not isinstance(found, list) or not all(isinstance(key, str) and _LABEL_KEY.fullmatch(key) for key in found):
            self.faults.append(f"{path}: expected a list of keys of labels, as [team], found {found!r}")
            return ()
        return tuple(dict.fromkeys(found))

    def scopes(self, path: str) -> tuple[Scope, ...] | None:
        """Scopes of keys; absent is not the same as empty."""
        found = self._find(path)
        if found is None:
            return None
        try:
            return read_scopes(found)
        except ValueError as error:
            self.faults.append(f"{path}: {error}")
            return ()

    def strings(self, path: str) -> dict[str, str]:
        """A mapping of names to strings; one that is null is not there, as in Helm."""
        nothing: KubeObject = {}
        found = {name: value for name, value in self.get(path, nothing).items() if value is not None}
        wrong = [name for name, value in found.items() if not isinstance(value, str)]
        for name in wrong:
            self.faults.append(f"{path}.{name}: expected a string, found {found[name]!r}; quote it or use --set-string")
        return {name: value for name, value in found.items() if name not in wrong}

    def names(self, path: str) -> tuple[str, ...]:
        """A list of ``{name: …}``, as Kubernetes refers to objects of a namespace; bare names will do."""
        found = [each.get("name") if isinstance(each, dict) else each for each in self._list(path)]
        for index, name in enumerate(found):
            if not isinstance(name, str) or not name:
                self.faults.append(f"{path}[{index}]: expected the name of an object, found {name!r}")
        # Twice the same name would be refused by the API server, which keeps these lists by name.
        return tuple(dict.fromkeys(name for name in found if isinstance(name, str) and name))

    def mappings(self, path: str) -> tuple[KubeObject, ...]:
        """A list of mappings whose inside is Kubernetes' to judge."""
        found = self._list(path)
        if all(isinstance(each, dict) for each in found):
            return tuple(found)
        self.faults.append(f"{path}: expected a list of mappings, found {found!r}")
        return ()

    def variables(self, path: str) -> tuple[KubeObject, ...]:
        """Environment variables as a container lists them; of two with one name the last holds, as in a container."""
        found: dict[str, KubeObject] = {}
        for index, each in enumerate(self._list(path)):
            name = each.get("name") if isinstance(each, dict) else None
            if not isinstance(name, str) or not name or not isinstance(each.get("value", ""), str):
                shown = sorted(each) if isinstance(each, dict) else each
                self.faults.append(
                    f"{path}[{index}]: expected name, and value (a string) or valueFrom, found {shown!r}"
                )
            else:
                found[name] = each
        return tuple(found.values())

    def role(self, path: str, arn: str | None) -> None:
        """Note a fault where a role's annotation holds something that is no role."""
        if arn is None:
            return
        try:
            parsed = Arn.parse(arn)
        except ValueError:
            parsed = None
        if (
            parsed is None
            or parsed.service != "iam"
            or not parsed.resource.removeprefix("role/")
            or (not parsed.resource.startswith("role/"))
        ):
            self.faults.append(f"{path}: {ROLE_ANNOTATION}: expected arn:aws:iam::<account>:role/<name>, found {arn!r}")

    def _list(self, path: str) -> list[Any]:
        nothing: list[Any] = []
        return self.get(path, nothing)

    def _find(self, path: str) -> object:
        found: object = self._document
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        return found


_WORDS: Mapping[type, str] = {str: "a string", bool: "true or false", dict: "a mapping", list: "a list"}
