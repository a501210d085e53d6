"""GetRequestAuthorizationDetails as a service."""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.denials import Denials
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam_toolbox.details import details
from keyless.local.cloud.service import Operation, Service


class Toolbox:
    """The one operation, on the refusals that the cloud remembers."""

    def __init__(self, denials: Denials) -> None:
        self._denials = denials

    def service(self) -> Service:
        """The table of the service; it signs as IAM does, and its paths tell it from IAM."""
        return Service(
            "iam-toolbox",
            operations=(Operation("GetRequestAuthorizationDetails", self._details),),
            prefix="iam",
            signing_names=("iam",),
            path_prefix="/authorization-details/",
            invalid=lambda text: AwsError("ValidationException", text, status=400),
        )

    def _details(self, call: Call) -> dict[str, Any]:
        identifier = str(call.params["authorizationId"])
        decisions = self._denials.of(identifier)
        if not decisions:
            text = f"Authorization details for {identifier} do not exist in this region or have expired."
            raise AwsError("ResourceNotFoundException", text, status=404)
        return details(decisions)
