"""The parts of an upload and of the object they became: which are chosen, where one lies, how they are listed. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html (limits)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.checksums import MEMBERS
from keyless.local.cloud.s3.uploads import Part

SMALLEST_BYTES = 5 * 2**20
MOST_PARTS = 10_000
_MOST_LISTED = 1000


def checked_number(number: int) -> int:
    """The number of a part; raises InvalidArgument."""
    if not 1 <= number <= MOST_PARTS:
        raise AwsError(
            "InvalidArgument",
            "Part number must be an integer between 1 and 10000, inclusive",
            status=400,
            fields={"ArgumentName": "partNumber", "ArgumentValue": str(number)},
        )
    return number


def chosen(named: Sequence[Mapping[str, Any]], have: Sequence[Part], upload_id: str) -> list[Part]:
    """The parts that complete an upload; raises what S3 says to a list that cannot."""
    if not named:
        text = "The XML you provided was not well-formed or did not validate against our published schema"
        raise AwsError("MalformedXML", text, status=400)
    numbers = [int(part.get("PartNumber", 0)) for part in named]
    if numbers != sorted(set(numbers)):
        text = "The list of parts was not in ascending order. Parts must be ordered by part number."
        raise AwsError("InvalidPartOrder", text, status=400, fields={"UploadId": upload_id})
    by_number = {part.number: part for part in have}
    found = [_fitting(part, by_number.get(number), upload_id) for part, number in zip(named, numbers, strict=True)]
    for part in found[:-1]:
        if part.size < SMALLEST_BYTES:
            raise AwsError(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                status=400,
                fields={
                    "ProposedSize": str(part.size),
                    "MinSizeAllowed": str(SMALLEST_BYTES),
                    "PartNumber": str(part.number),
                    "ETag": part.etag.strip('"'),
                },
            )
    return found


def _fitting(named: Mapping[str, Any], part: Part | None, upload_id: str) -> Part:
    etag = str(named.get("ETag", "")).strip('"')
    sums = {member: named[member] for member in MEMBERS if named.get(member)}
    if part is not None and part.etag.strip('"') == etag and sums.items() <= part.checksums.items():
        return part
    raise AwsError(
        "InvalidPart",
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified"
        " entity tag may not match the part's entity tag.",
        status=400,
        fields={"UploadId": upload_id, "PartNumber": str(named.get("PartNumber", "")), "ETag": etag},
    )


def part_range(parts: Sequence[Mapping[str, Any]], number: int, size: int) -> tuple[int, int] | None:
    """The half-open range of part ``number``; an object that was put whole has one part."""
    count = len(parts) or 1
    if number > count:
        fields = {"ActualPartCount": str(count), "PartNumberRequested": str(number)}
        raise AwsError("InvalidPartNumber", "The requested partnumber is not satisfiable", status=416, fields=fields)
    if not parts:
        return (0, size) if size else None
    start = sum(int(part["Size"]) for part in parts[: number - 1])
    return start, start + int(parts[number - 1]["Size"])


def page(items: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> dict[str, Any]:
    """A page of parts (each with its ``PartNumber``) behind the request's marker."""
    wanted, marker = params.get("MaxParts"), int(params.get("PartNumberMarker") or 0)
    limit = _MOST_LISTED if wanted is None else min(int(wanted), _MOST_LISTED)
    behind = [item for item in items if item["PartNumber"] > marker]
    listed = behind[:limit]
    return {
        "PartNumberMarker": marker,
        "NextPartNumberMarker": listed[-1]["PartNumber"] if listed else 0,
        "MaxParts": limit,
        "IsTruncated": len(behind) > len(listed),
        "Parts": listed,
    }
