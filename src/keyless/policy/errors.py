"""The one failure of this package: a document that is no policy."""

from __future__ import annotations


class MalformedPolicy(ValueError):
    """Raised by :func:`keyless.policy.parse`; ``str(error)`` is AWS's text, code ``MalformedPolicyDocument``."""

    code = "MalformedPolicyDocument"
