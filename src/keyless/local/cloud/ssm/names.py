"""Names of parameters: which may be, and what ``name:selector`` and ARNs mean. Pure.

https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
"""

from __future__ import annotations

import re

from keyless.local.cloud.errors import AwsError

_SIGNS = re.compile(r"[A-Za-z0-9_.\-/]+")
_LABEL = re.compile(r"(?!aws|ssm|[0-9])[A-Za-z0-9_.-]{1,100}", re.IGNORECASE)
_MOST_LEVELS = 15
_MOST_CHARACTERS = 1011  # of the ARN
_PATH_RULES = (
    "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash "
    '"/". It can\'t be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, numbers, or the '
    "following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if "
    'specified, must use the forward slash symbol "/". Valid example: /get/parameters2-/by1./path0_.'
)
_SUB_PATHS = (
    "If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of "
    "letters, numbers and the following 3 symbols .-_"
)
_MALFORMED = f'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). {_SUB_PATHS}'


def invalid(text: str) -> AwsError:
    """ValidationException."""
    return AwsError("ValidationException", text, status=400)


def checked(name: str) -> str:
    """The name of a new parameter; raises ValidationException and others in AWS's words."""
    _refuse_reserved(name)
    if "/" in name and not name.startswith("/"):
        raise invalid("Parameter name must be a fully qualified name.")
    if _is_malformed(name):
        raise invalid(_MALFORMED)
    if name.count("/") > _MOST_LEVELS:
        text = f"A hierarchy can have a maximum of {_MOST_LEVELS} levels. Found {name.count('/')} in {name}."
        raise AwsError("HierarchyLevelLimitExceededException", text)
    return name


def readable(name: str) -> str:
    """The name to read: none that could never be a parameter's; raises ValidationException, never "not found".

    AWS says the same whatever is wrong: a path without its first slash, a last slash, a sign that no name has
    (docs/reference/facts/external-secrets-sync.md).
    """
    if not name.startswith("arn:") and (_is_malformed(name) or ("/" in name and not name.startswith("/"))):
        raise invalid(_MALFORMED)
    return name


def _is_malformed(name: str) -> bool:
    return not _SIGNS.fullmatch(name) or name.endswith("/") or "//" in name


def refuse_long(arn: str) -> None:
    """A name counts with its ARN."""
    if len(arn) > _MOST_CHARACTERS:
        raise invalid(f"Parameter name: its ARN can have at most {_MOST_CHARACTERS} characters; found {len(arn)}.")


def checked_path(path: str) -> str:
    """A path to search below; raises ValidationException."""
    if not path.startswith("/") or "//" in path or not _SIGNS.fullmatch(path):
        raise invalid(_PATH_RULES)
    return path


def _refuse_reserved(name: str) -> None:
    if not name.lower().lstrip("/").startswith(("aws", "ssm")):
        return
    is_path = name.count("/") > 1
    if name.lower().startswith("/aws") and is_path:
        raise AwsError("AccessDeniedException", f"No access to reserved parameter name: {name}.", status=400)
    if not is_path:
        raise invalid('Parameter name: can\'t be prefixed with "aws" or "ssm" (case-insensitive).')
    raise invalid(_MALFORMED)


def selected(text: str) -> tuple[str, str]:
    """Split ``name:selector``, where the name may be an ARN; the selector may be empty."""
    if text.startswith("arn:"):
        segments = text.split(":")
        head, rest = ":".join(segments[:6]), segments[6:]
    else:
        head, *rest = text.split(":")
    if len(rest) > 1:
        text = (
            "Invalid parameter name. Please use correct syntax for referencing a version/label  <name>:<version/label>"
        )
        raise invalid(text)
    return head, rest[0] if rest else ""


def spellings(name: str) -> tuple[str, ...]:
    """The names that a name or an ARN may mean: an ARN does not tell whether its name begins with a slash."""
    if not name.startswith("arn:"):
        return (name,)
    _, _, tail = name.partition(":parameter/")
    return (f"/{tail}", tail)


def resource(name: str) -> str:
    """What follows the account in a parameter's ARN: exactly one slash, whether the name begins with one or not."""
    return f"parameter/{name.removeprefix('/')}"


def is_below(name: str, path: str, *, deep: bool) -> bool:
    """Whether a parameter is below ``path``: directly, or ``deep``. A name without a slash is at the root."""
    prefix, whole = path.rstrip("/") + "/", name if name.startswith("/") else f"/{name}"
    return whole.startswith(prefix) and (deep or "/" not in whole[len(prefix) :])


def is_label(label: str) -> bool:
    """Whether a label may be: no beginning with aws, ssm or a digit."""
    return _LABEL.fullmatch(label) is not None
