import inspect

import botocore.exceptions as bc
import pytest
from botocore.parsers import ResponseParserError

from keyless.api import Permanent, Transient
from keyless.aws import AwsPermanent, AwsTransient, failure
from keyless.aws.errors import TABLE


def answered(code: str, message: str = "no", status: int = 400) -> bc.ClientError:
    metadata = {"RequestId": "r-1", "HTTPStatusCode": status}
    return bc.ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}, "GetThing")


def test_every_exception_of_botocore_has_a_row_in_the_table():
    abstract = {bc.BotoCoreError, bc.ClientError, bc.EventStreamError}
    classes = [c for c in vars(bc).values() if inspect.isclass(c) and c.__module__ == bc.__name__]
    failures = [c for c in classes if issubclass(c, Exception) and not issubclass(c, Warning) and c not in abstract]
    assert [c.__name__ for c in failures if not any(base in TABLE for base in c.__mro__)] == []


def test_a_denial_is_permanent_and_carries_what_aws_said():
    error = failure("GetThing", answered("AccessDenied", "User: x is not authorized"))
    assert isinstance(error, AwsPermanent)
    assert isinstance(error, Permanent)
    assert (error.code, error.message, error.request_id) == ("AccessDenied", "User: x is not authorized", "r-1")
    assert str(error) == "GetThing: AccessDenied: User: x is not authorized (request r-1)"


@pytest.mark.parametrize(
    "error",
    [
        answered("ThrottlingException"),
        answered("Whatever", status=503),
        answered("SlowDown", status=503),
        answered("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider,  please"),
        bc.ReadTimeoutError(endpoint_url="http://x"),
        bc.EndpointConnectionError(endpoint_url="http://x"),
    ],
)
def test_what_may_pass_by_itself_is_transient(error):
    assert isinstance(failure("GetThing", error), AwsTransient)
    assert isinstance(failure("GetThing", error), Transient)


def test_an_untrusted_certificate_is_not_tried_again():
    assert isinstance(failure("GetThing", bc.SSLError(endpoint_url="https://x", error="bad")), AwsPermanent)


def test_the_agents_plain_text_gives_the_upstream_code():
    text = (
        "Received non 200 response 404 from container metadata: "
        "[abc-1]: (ResourceNotFoundException): No association, fault: client"
    )
    error = failure("credentials", bc.CredentialRetrievalError(provider="container-role", error_msg=text))
    assert isinstance(error, AwsPermanent)
    assert (error.code, error.message, error.request_id) == ("ResourceNotFoundException", "No association", "abc-1")


def test_a_parameters_value_is_left_out_of_the_message():
    report = "Invalid type for parameter SecretString, value: pl4nted, type: <class 'int'>, valid types: <class 'str'>"
    error = failure("PutSecretValue", bc.ParamValidationError(report=report))
    assert "pl4nted" not in str(error)
    assert "SecretString" in str(error)


def test_a_page_in_place_of_an_answer_is_tried_again_and_not_quoted():
    told = failure("GetSecretValue", ResponseParserError("invalid XML received: <html>a secret</html>"))
    assert isinstance(told, AwsTransient)
    assert str(told) == "GetSecretValue: ResponseParser: the answer cannot be read"
