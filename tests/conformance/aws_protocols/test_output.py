"""botocore's protocol suites inverted: a result must be written as AWS writes it, and botocore must read it back.

Compared are the status, the headers that the suite names and the body's structure; not white space, namespaces, the
order of members, or the root of REST-XML, which services name (``Operation.root``).
"""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import PROTOCOL_PARSERS

from conformance.aws_protocols.suites import Case, cases, exceptions, native, plain
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.wire.http import HttpResponse
from keyless.local.cloud.wire.write import write_error, write_result

#: answers whose bytes are for readers to tolerate, not for us to write; botocore must still read ours as the result
WRITTEN_OTHERWISE = exceptions(
    {
        "the same moment, which we write in UTC": """
            query-AwsQueryDateTimeWithNegativeOffset query-AwsQueryDateTimeWithPositiveOffset
            json-AwsJson11DateTimeWithNegativeOffset json-AwsJson11DateTimeWithPositiveOffset
            rest-json-RestJsonDateTimeWithNegativeOffset rest-json-RestJsonDateTimeWithPositiveOffset
            rest-xml-RestXmlDateTimeWithNegativeOffset rest-xml-RestXmlDateTimeWithPositiveOffset
        """,
        "the answer holds what a reader must ignore: unknown members, type names, nulls, CDATA": """
            json-handles_unexpected_json_output json-AwsJson11DeserializeIgnoreType
            json-AwsJson11StructuresDontDeserializeNullValues json_1_0-AwsJson10DeserializeIgnoreType
            json_1_0-AwsJson10DeserializeAllowNulls json_1_0-AwsJson10HandlesUnexpectedJsonOutput
            rest-json-RestJsonDeserializesDenseSetMapAndSkipsNull rest-json-RestJsonDeserializeIgnoreType
            rest-json-RestJsonDoesntDeserializeNullStructureValues rest-xml-SimpleScalarPropertiesWithXMLPreamble
        """,
        "the suite puts a header of requests into the answer": "json-AwsJson11IntEnums",
        "the gateway, not the writer, sets the request id": "json-parses_the_request_id_from_the_response",
        "botocore ignores it: the model's name of a shape overrides the member's": "rest-xml-BodyWithXmlName",
    }
)
#: results that cannot be written from what the case gives
EXCEPTIONS = exceptions(
    {
        "botocore ignores it: its reader takes the items' name for the list's": "query-QueryXmlLists rest-xml-XmlLists",
        "an empty body reads as an empty payload": """
            rest-json-RestJsonHttpPayloadTraitsWithNoBlobBody rest-xml-HttpPayloadTraitsWithNoBlobBody
        """,
        "botocore ignores it: a union without a member": """
            rest-json-RestJsonHttpPayloadWithUnsetUnion rest-xml-RestXmlHttpPayloadWithUnsetUnion
        """,
        "a map of all headers reads our content-type too": "rest-json-HttpPrefixHeadersResponse",
        "botocore ignores it: it cannot read a list of dates with commas": """
            rest-json-RestJsonInputAndOutputWithTimestampHeaders rest-xml-InputAndOutputWithTimestampHeaders
        """,
        "botocore ignores it: it cannot read quoted items": "rest-json-RestJsonInputAndOutputWithQuotedStringHeaders",
        "JSON in a header (Lex alone has it)": "rest-json-MediaTypeHeaderOutputBase64",
        "no service places a result in a query": "rest-xml-IgnoreQueryParamsInResponse",
    }
)
ALL = cases("output")
RESULTS = [case for case in ALL if "result" in case.case]
ERRORS = [case for case in ALL if "error" in case.case]


def written(case: Case) -> HttpResponse:
    """Our answer."""
    model = case.model()
    result = native(model.operation(case.operation).output_shape, case.case["result"])
    return write_result(model, case.operation, result, request_id="1-2-3")


def read(case: Case, answer: HttpResponse) -> Any:
    """What botocore reads from our answer."""
    description = case.theirs()
    shape = description.operation_model(case.operation).output_shape
    if description.metadata["protocol"] == "query" and shape is not None:
        shape.serialization["resultWrapper"] = shape.serialization.get("resultWrapper", f"{case.operation}Result")
    parser = PROTOCOL_PARSERS[description.metadata["protocol"]]()
    response = {
        "status_code": answer.status,
        "headers": HeadersDict(answer.headers),
        "body": answer.body,
        "context": {},
    }
    parsed = parser.parse(response, shape)
    parsed.pop("ResponseMetadata", None)
    return plain(parsed)


def structure(protocol: str, body: bytes) -> Any:
    """A body without what carries no meaning."""
    if protocol == "rest-xml" or protocol == "query":
        try:
            return _tree(ElementTree.fromstring(body))
        except ElementTree.ParseError:
            return body
    try:
        return json.loads(body)
    except ValueError:
        return body


def _tree(element: ElementTree.Element) -> Any:
    children = sorted((_tree(child) for child in element), key=lambda child: child[0])
    attributes = sorted((name.rpartition("}")[2], value) for name, value in element.attrib.items())
    text = (element.text or "").strip()
    return element.tag.rpartition("}")[2], attributes, text, children


#: an empty JSON object, REST-XML element, query response
EMPTY: tuple[Any, ...] = ({}, ([], "", []), [])


def meaning(protocol: str, body: bytes) -> Any:
    found = structure(protocol, body)
    if not isinstance(found, tuple):
        return found
    if protocol == "query":
        return [child for child in found[3] if child[0] != "ResponseMetadata" and child[1:] != ([], "", [])]
    return found[1:]


@pytest.mark.parametrize("case", RESULTS or [None], ids=lambda case: case.id if case else "absent")
def test_a_result_is_written_as_aws_writes_it(case: Case) -> None:
    if case.id in EXCEPTIONS:
        pytest.xfail(EXCEPTIONS[case.id])
    answer, response, protocol = written(case), case.case["response"], case.suite["metadata"]["protocol"]
    assert read(case, answer) == case.case["result"]
    assert answer.status == response.get("status_code", 200)
    if case.id in WRITTEN_OTHERWISE:
        return
    for name, value in response.get("headers", {}).items():
        if name.lower() != "content-type":
            assert answer.headers.get(name.lower()) == value
    assert isinstance(answer.body, bytes)
    ours, theirs = meaning(protocol, answer.body), meaning(protocol, response.get("body", "").encode())
    # An answer without members may be nothing at all, or the protocol's empty envelope.
    assert ours == theirs or (theirs == b"" and ours in EMPTY)


@pytest.mark.parametrize("case", ERRORS or [None], ids=lambda case: case.id if case else "absent")
def test_an_error_is_read_back_with_its_code_and_message(case: Case) -> None:
    protocol = case.suite["metadata"]["protocol"]
    code, message = case.case.get("errorCode", ""), case.case.get("errorMessage", "")
    answer = write_error(protocol, AwsError(code, message), status=case.case["response"]["status_code"], request_id="1")
    response = {
        "status_code": answer.status,
        "headers": HeadersDict(answer.headers),
        "body": answer.body,
        "context": {},
    }
    found = PROTOCOL_PARSERS[protocol]().parse(response, None)["Error"]
    assert (found["Code"], found["Message"] or "") == (code, message)


def test_every_exception_is_a_case() -> None:
    assert {*EXCEPTIONS, *WRITTEN_OTHERWISE} <= {case.id for case in ALL}
