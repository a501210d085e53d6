"""What an operation raises to answer as AWS answers a refusal.

The code is AWS's own; the gateway writes it in the protocol of the service and takes the HTTP status from the service's
model where the caller names none.
"""

from __future__ import annotations

from collections.abc import Mapping


class AwsError(Exception):
    """An answer with ``code`` and ``message``; never a secret value in either."""

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        status: int | None = None,
        fields: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        #: further members of the error, for instance ``BucketName``; names as in the model or as S3 writes them
        self.fields = dict(fields or {})
        #: headers of the answer that tell more, for instance ``x-amz-delete-marker``; names in lower case
        self.headers = dict(headers or {})


def validation(message: str) -> AwsError:
    """The query and JSON services' word for a parameter of the wrong shape."""
    return AwsError("ValidationError", message, status=400)
