"""Request bodies: JSON, YAML or protobuf in, plain objects out; anything else is refused with a Status.

Spec: https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources
"""

from __future__ import annotations

from typing import Any

import orjson

from keyless.local.cluster import protobuf
from keyless.local.cluster.messages import JSON, Request
from keyless.local.cluster.status import bad_request, unsupported_media

PROTOBUF = "application/vnd.kubernetes.protobuf"
YAML = "application/yaml"
MAX_BODY_BYTES = 3 * 1024 * 1024
_MAX_SHOWN = 100


def decode(request: Request) -> Any:
    """The body as JSON values; an empty body is None."""
    media = request.media_type
    if not request.body:
        return None
    if media in {JSON, "text/json"}:
        return decode_json(request.body)
    if media == PROTOBUF:
        return _decode_protobuf(request.body)
    if media == YAML:
        return decode_yaml(request.body)
    raise unsupported_media([JSON, YAML, PROTOBUF])


def decode_json(body: bytes) -> Any:
    """Parse JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the body is no JSON: {str(error)[:_MAX_SHOWN]}") from error


def decode_yaml(body: bytes) -> Any:
    """Parse YAML (and so JSON: what kubectl sends as an apply patch)."""
    if body[:1] in b"{[":
        return decode_json(body)
    import yaml  # loaded late: 6 MB that most runs never need

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(body, Loader=loader)):
            # A few aliases of aliases make gigabytes of a small body.
            raise bad_request("error decoding YAML: aliases are not accepted")
        # A round trip through JSON: dates become text, keys become strings, anything else is refused.
        return orjson.loads(orjson.dumps(yaml.load(body, Loader=loader), option=orjson.OPT_NON_STR_KEYS))  # noqa: S506 - a safe loader
    except (yaml.YAMLError, RecursionError, TypeError, ValueError) as error:
        raise bad_request(
            f"error decoding YAML: {(str(error) or 'no document').splitlines()[0][:_MAX_SHOWN]}"
        ) from error


def _decode_protobuf(body: bytes) -> Any:
    try:
        return protobuf.decode(body)
    except protobuf.Malformed as error:
        raise bad_request(f"the body is no Kubernetes protobuf: {str(error)[:_MAX_SHOWN]}") from error
