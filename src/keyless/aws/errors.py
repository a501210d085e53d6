"""One table from botocore's exceptions to our two kinds of failure.

``AwsTransient`` and ``AwsPermanent`` carry what AWS said: ``code`` (AWS's own, else the exception's name), ``message``,
``request_id`` and ``operation``. A message never holds a request parameter's value. ``TABLE`` must name every class of
``botocore.exceptions``; a test finds those it does not.

Error codes: https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

import re
from enum import Enum

import botocore.exceptions as bc
from botocore.parsers import ResponseParserError

from keyless.api import Permanent, Transient


class AwsTransient(Transient):
    """The same call may succeed later: throttling, a timeout, a failure on AWS's side."""

    def __init__(self, said: Said) -> None:
        super().__init__(str(said))
        self.code, self.message = said.code, said.message
        self.request_id, self.operation = said.request_id, said.operation
        self.answered = said.answered


class AwsPermanent(Permanent):
    """The same call fails until someone changes a policy, a name or a setting."""

    def __init__(self, said: Said) -> None:
        super().__init__(str(said))
        self.code, self.message = said.code, said.message
        self.request_id, self.operation = said.request_id, said.operation
        self.answered = said.answered


AwsError = AwsTransient | AwsPermanent
AWS_FAILURES = (AwsTransient, AwsPermanent)  # what ``except`` takes


class Said:
    """What AWS, or the SDK in its place, said about one call."""

    __slots__ = ("answered", "code", "message", "operation", "request_id")

    def __init__(self, operation: str, code: str, message: str, request_id: str = "", *, answered: bool = True) -> None:
        self.operation, self.code, self.message, self.request_id = operation, code, message, request_id
        self.answered = answered
        """Whether the words are those of the service that was called; else the SDK's, or of those who give keys."""

    def __str__(self) -> str:
        tail = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.operation}: {self.code}: {self.message}{tail}"


class Next(Enum):
    """The caller's next move."""

    TRY_AGAIN = AwsTransient
    ACT = AwsPermanent


# Codes that AWS documents as "try again", beside every answer with a 5xx or 429 status.
TRANSIENT_CODES = frozenset({
    "ConcurrentModificationException", "EC2ThrottledException", "ExpiredToken", "IDPCommunicationError",
    "InternalError", "InternalFailure", "InternalServerError", "InternalServerException", "InternalServiceError",
    "KMSThrottlingException", "LimitExceededException", "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException",
    "RequestTimeout", "RequestTimeoutException",
    "RequestTimeTooSkewed", "ServiceUnavailable", "ServiceUnavailableException", "SlowDown", "ThrottledException",
    "Throttling", "ThrottlingException", "TooManyRequestsException", "TransactionInProgressException",
})  # fmt: skip

_AGAIN: tuple[type[BaseException], ...] = (
    bc.CapacityNotAvailableError, bc.ChecksumError, bc.ConnectionError, bc.CredentialRetrievalError,
    bc.FlexibleChecksumError, bc.HTTPClientError, bc.IncompleteReadError, bc.MetadataRetrievalError,
    bc.NoCredentialsError, bc.ResponseStreamingError, bc.TokenRetrievalError, ResponseParserError,
)  # fmt: skip
# An answer that cannot be read (a proxy's page, one that was cut off) is none, whatever its status.
# Without credentials a call is worth another try: the node's metadata or the agent may not have been up yet.

_ACT: tuple[type[BaseException], ...] = (
    bc.ApiVersionNotFoundError, bc.AwsChunkedWrapperError, bc.BaseEndpointResolverError, bc.ConfigNotFound,
    bc.ConfigParseError, bc.DataNotFoundError, bc.EndpointProviderError, bc.InvalidChecksumConfigError,
    bc.InvalidConfigError, bc.InvalidDNSNameError, bc.InvalidDefaultsMode, bc.InvalidEndpointConfigurationError,
    bc.InvalidEndpointDiscoveryConfigurationError, bc.InvalidExpressionError, bc.InvalidHostLabelError,
    bc.InvalidIMDSEndpointError, bc.InvalidIMDSEndpointModeError, bc.InvalidProxiesConfigError,
    bc.InvalidRetryConfigurationError, bc.InvalidRetryModeError, bc.InvalidS3AddressingStyleError,
    bc.InvalidS3UsEast1RegionalEndpointConfigError, bc.InvalidSTSRegionalEndpointsConfigError, bc.LoginError,
    bc.MD5UnavailableError, bc.MissingDependencyException, bc.MissingParametersError, bc.NoAuthTokenError,
    bc.OperationNotPageableError, bc.PaginationError, bc.ParamValidationError, bc.PartialCredentialsError,
    bc.ProfileNotFound, bc.RefreshWithMFAUnsupportedError, bc.SSLError, bc.SSOError, bc.ServiceNotInRegionError,
    bc.StubResponseError, bc.UndefinedModelAttributeError, bc.UnknownClientMethodError, bc.UnknownCredentialError,
    bc.UnknownRegionError, bc.UnknownServiceStyle, bc.UnknownSignatureVersionError, bc.UnknownTokenProviderError,
    bc.UnseekableStreamError, bc.UnsupportedOutpostResourceError, bc.UnsupportedS3AccesspointConfigurationError,
    bc.UnsupportedS3ArnError, bc.UnsupportedS3ConfigurationError, bc.UnsupportedS3ControlArnError,
    bc.UnsupportedS3ControlConfigurationError, bc.UnsupportedServiceProtocolsError,
    bc.UnsupportedSignatureVersionError, bc.ValidationError, bc.WaiterConfigError, bc.WaiterError,
)  # fmt: skip

# Exceptions that are not answers; the nearest class in the method resolution order counts. SSLError is a
# ConnectionError, but a certificate that is not trusted stays so: its own entry is nearer.
TABLE: dict[type[BaseException], Next] = dict.fromkeys(_AGAIN, Next.TRY_AGAIN) | dict.fromkeys(_ACT, Next.ACT)

_VALUE = re.compile(r"value: .*?, (?=type: |valid )|Value \(.*?\)", re.DOTALL)
# The Pod Identity agent reports its upstream's answer inside a plain text: "[request]: (Code): message, fault: client".
_AGENT = re.compile(r"\[(?P<request>[^\]]*)\]: \((?P<code>\w+)\): (?P<message>.*?)(?:, fault: \w+)?\Z", re.DOTALL)
_NO_KEY = "Couldn't retrieve verification key"
_MESSAGE_LIMIT = 1000


def failure(operation: str, error: BaseException) -> AwsTransient | AwsPermanent:
    """Return the failure that ``error`` stands for; raise it ``from error``."""
    if isinstance(error, bc.ClientError):
        return _answered(operation, error)
    kind = next((TABLE[cls] for cls in type(error).__mro__ if cls in TABLE), Next.ACT)
    # What cannot be read is quoted by botocore, and may be what a secret's value came in.
    unread = isinstance(error, ResponseParserError)
    message = "the answer cannot be read" if unread else _VALUE.sub("", str(error))
    code, request_id = type(error).__name__.removesuffix("Error"), ""
    if isinstance(error, bc.CredentialRetrievalError | bc.MetadataRetrievalError) and (told := _AGENT.search(message)):
        code, message, request_id = told["code"], told["message"], told["request"]
        kind = Next.TRY_AGAIN if code in TRANSIENT_CODES else Next.ACT
    said = Said(operation, code, message[:_MESSAGE_LIMIT], request_id, answered=False)
    raised: AwsTransient | AwsPermanent = kind.value(said)
    return raised


def _answered(operation: str, error: bc.ClientError) -> AwsTransient | AwsPermanent:
    detail = error.response.get("Error", {})
    metadata = error.response.get("ResponseMetadata", {})
    code = str(detail.get("Code") or "Unknown")
    message = str(detail.get("Message") or detail.get("message") or "no message")
    # The credentials may fail on a call of their own (AssumeRoleWithWebIdentity): say which one.
    said = Said(error.operation_name or operation, code, message[:_MESSAGE_LIMIT], str(metadata.get("RequestId", "")))
    status = int(metadata.get("HTTPStatusCode", 0))
    # STS answers InvalidIdentityToken where it could not reach the issuer's keys; SDKs do not retry that, we do.
    # What a server has not implemented it has not a second later.
    again = status == 429 or (status >= 500 and status != 501)
    if code in TRANSIENT_CODES or again or _NO_KEY in message:
        return AwsTransient(said)
    return AwsPermanent(said)
