"""botocore's protocol suites inverted: what a client sends must be read as the parameters that it was given."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.aws_protocols.suites import Case, cases, exceptions, plain
from keyless.local.cloud.wire.http import HttpRequest
from keyless.local.cloud.wire.read import operation_meant, read_parameters

#: cases whose parameters cannot come back, and why; everything else must
EXCEPTIONS = exceptions(
    {
        "the case gives no body: it is about compressing what the client sends, which no service here takes": """
            query-SDKAppliedContentEncoding_awsQuery query-SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsQuery
            json-SDKAppliedContentEncoding_awsJson1_1 json-SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_1
            json_1_0-SDKAppliedContentEncoding_awsJson1_0
            json_1_0-SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_0
            rest-json-SDKAppliedContentEncoding_restJson1 rest-json-SDKAppendedGzipAfterProvidedEncoding_restJson1
            rest-xml-SDKAppliedContentEncoding_restXml rest-xml-SDKAppendedGzipAfterProvidedEncoding_restXml
        """,
        "the case gives no X-Amz-Target: it is about the client's choice of a host": """
            json_1_0-AwsJson10EndpointTrait json_1_0-AwsJson10EndpointTraitWithHostLabel json_1_0-AwsJson10HostWithPath
        """,
        "the endpoint has a path of its own; ours has none": "rest-json-RestJsonHostWithPath",
        "the client makes the token up: it arrives, and the parameters of the case do not have it": """
            query-QueryProtocolIdempotencyTokenAutoFill rest-json-RestJsonQueryIdempotencyTokenAutoFill
            rest-xml-QueryIdempotencyTokenAutoFill
        """,
        "what is null or empty is not sent, and so arrives as nothing": """
            query-QueryEmptyQueryMaps json-AwsJson11StructuresDontSerializeNullValues
            rest-json-RestJsonHttpPrefixHeadersAreNotPresent rest-json-RestJsonNullAndEmptyHeaders
            rest-json-RestJsonOmitsNullQuery rest-json-RestJsonOmitsEmptyListQueryValues
            rest-json-RestJsonDoesntSerializeNullStructureValues rest-xml-HttpPrefixHeadersAreNotPresent
            rest-xml-NullAndEmptyHeaders rest-xml-RestXmlOmitsNullQuery
        """,
        "an empty body and no body are the same on the wire; a payload arrives as empty": """
            rest-json-RestJsonHttpPayloadTraitsWithNoBlobBody rest-json-RestJsonHttpWithEmptyBlobPayload
            rest-json-RestJsonHttpWithEmptyStructurePayload rest-json-RestJsonHttpWithHeadersButNoPayload
            rest-xml-HttpPayloadTraitsWithNoBlobBody
        """,
        "a server puts every query argument into the map, as Smithy's cases for servers say": """
            rest-json-RestJsonQueryParamsStringListMap rest-json-RestJsonQueryPrecedence
            rest-xml-AllQueryStringTypes rest-xml-RestXmlQueryStringEscaping rest-xml-RestXmlSupportsNaNFloatQueryValues
            rest-xml-RestXmlSupportsInfinityFloatQueryValues rest-xml-RestXmlSupportsNegativeInfinityFloatQueryValues
            rest-xml-RestXmlZeroAndFalseQueryValues rest-xml-RestXmlQueryParamsStringListMap
            rest-xml-RestXmlQueryPrecedence
        """,
        "JSON in a header (Lex alone has it): left as it came": "rest-json-MediaTypeHeaderInputBase64",
        "botocore ignores it: the model's name of a shape overrides the member's": "rest-xml-BodyWithXmlName",
    }
)
CASES = cases("input")


def sent(case: Case) -> HttpRequest:
    """The request of a case."""
    serialized = case.case["serialized"]
    path, _, query = serialized.get("uri", "/").partition("?")
    headers = tuple((name.lower(), value) for name, value in serialized.get("headers", {}).items())
    body = serialized.get("body", "").encode()
    return HttpRequest(serialized.get("method", "POST"), path, query, (("host", "127.0.0.1"), *headers), body)


def read(case: Case) -> Any:
    """The parameters that our reader finds."""
    model, request = case.model(), sent(case)
    meant = operation_meant(model, {case.operation: None}, request)
    return plain(read_parameters(model, meant, request))


@pytest.mark.parametrize("case", CASES or [None], ids=lambda case: case.id if case else "absent")
def test_a_request_is_read_as_its_parameters(case: Case) -> None:
    if case.id in EXCEPTIONS:
        pytest.xfail(EXCEPTIONS[case.id])
    assert read(case) == case.case["params"]


def test_every_exception_is_a_case() -> None:
    assert set(EXCEPTIONS) <= {case.id for case in CASES}
