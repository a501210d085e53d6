"""The parameters of the account: kept as documents by name, found by name or ARN, gone when their time is over."""

from __future__ import annotations

from collections.abc import Iterator

from keyless.local.cloud.call import Call
from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.ssm.model import Parameter, parameter_of
from keyless.local.cloud.ssm.names import resource, spellings

KIND = "ssm-parameter"


class Parameters:
    """All parameters of the account in this region."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, call: Call, name: str) -> Parameter | None:
        """The parameter that a name or an ARN means."""
        for spelling in spellings(name):
            document = self._database.get(KIND, spelling)
            if document is None:
                continue
            parameter = parameter_of(document, call.arn(resource(spelling)))
            if not _is_over(parameter, call.now):
                return parameter
        return None

    def existing(self, call: Call, name: str) -> Parameter:
        """As ``find``; raises ParameterNotFound, which AWS sends without a text."""
        if (found := self.find(call, name)) is None:
            raise AwsError("ParameterNotFound", "")
        return found

    def all(self, call: Call) -> Iterator[Parameter]:
        """Every parameter by name; those whose time is over are forgotten on the way."""
        for document in self._database.all(KIND):
            parameter = parameter_of(document, call.arn(resource(document["name"])))
            if _is_over(parameter, call.now):
                self.forget(parameter)
            else:
                yield parameter

    def keep(self, parameter: Parameter) -> None:
        """Write a parameter."""
        self._database.put(KIND, parameter.name, parameter)

    def forget(self, parameter: Parameter) -> None:
        """Remove a parameter and its history."""
        self._database.remove(KIND, parameter.name)


def _is_over(parameter: Parameter, now: float) -> bool:
    return parameter.expires is not None and parameter.expires <= now
