"""Parameters and their versions, as documents; the reading of ``name:selector``.

https://docs.aws.amazon.com/systems-manager/latest/userguide/systems-manager-parameter-store.html
"""

from __future__ import annotations

import re
from typing import Any

from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError

KIND = "ssm-parameter"
MAX_VERSIONS = 100
STANDARD_BYTES, ADVANCED_BYTES = 4096, 8192
_NAME = re.compile(r"[A-Za-z0-9_.\-/]{1,2048}")

Parameter = dict[str, Any]
"""name, tags, versions [{number, type, value, keyId, description, tier, modified, user, labels}]"""


class Parameters:
    """All parameters of the account in this region."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str) -> Parameter | None:
        found: Parameter | None = self._database.get(KIND, plain(name))
        return found

    def all(self) -> list[Parameter]:
        return self._database.all(KIND)

    def keep(self, parameter: Parameter) -> None:
        self._database.put(KIND, parameter["name"], parameter)

    def forget(self, parameter: Parameter) -> None:
        self._database.remove(KIND, parameter["name"])


def plain(name: str) -> str:
    """The name behind an ARN; a name that begins with ``/`` keeps it."""
    if not name.startswith("arn:"):
        return name
    tail = name.split(":parameter", 1)[-1]
    return tail if tail.count("/") > 1 else tail.removeprefix("/")


def selected(text: str) -> tuple[str, str]:
    """Split ``name:selector``; the selector is a version number, a label, or empty."""
    if text.startswith("arn:"):
        head, colon, tail = text.rpartition(":")
        return (head, tail) if colon and "/" not in tail and not tail.startswith("parameter") else (text, "")
    name, _, selector = text.partition(":")
    return name, selector


def version_meant(parameter: Parameter, selector: str) -> dict[str, Any]:
    """The version that a selector means; raises ParameterVersionNotFound."""
    versions: list[dict[str, Any]] = parameter["versions"]
    if not selector:
        return versions[-1]
    for version in versions:
        if selector in {str(version["number"]), *version["labels"]}:
            return version
    text = (
        f"Systems Manager could not find version {selector} of {parameter['name']}. Verify the version and try again."
    )
    raise AwsError("ParameterVersionNotFound", text)


def valid_name(name: str) -> str:
    """The name, or ValidationException with AWS's words."""
    hierarchical = name.startswith("/") or "/" not in name
    if not _NAME.fullmatch(name) or not hierarchical or name.endswith("/"):
        raise AwsError(
            "ValidationException",
            'Parameter name must be a fully qualified name: it may hold letters, numbers and ".-_", and "/" between '
            f'the parts of a path that begins with "/"; found {name!r}',
        )
    if name.lstrip("/").lower().startswith(("aws", "ssm")):
        raise AwsError("AccessDeniedException", f"No access to reserved parameter name: {name}.", status=400)
    return name


def arn_resource(name: str) -> str:
    """What follows the account in a parameter's ARN: exactly one slash, whether the name begins with one or not."""
    return f"parameter/{name.removeprefix('/')}"
