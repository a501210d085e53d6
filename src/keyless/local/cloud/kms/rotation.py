"""Operations on rotation: yearly or as told, and at once. Old materials stay: what they sealed still opens.

https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms.keyring import Keyring
from keyless.local.cloud.kms.model import DAY_SECONDS, Key, Rotation
from keyless.local.cloud.kms.paging import page
from keyless.local.cloud.kms.states import not_pending, rotatable, usable

_YEAR_DAYS = 365
#: an AWS quota of each key
_MOST_ON_DEMAND = 25


class RotationOperations:
    """One method for each operation."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def enable(self, call: Call) -> None:
        key = rotatable(usable(self._key(call)))
        asked = call.params.get("RotationPeriodInDays")
        days = int(asked) if asked else key.rotation.period_days if key.rotation else _YEAR_DAYS
        if key.rotation is None or key.rotation.period_days != days:
            self._keyring.keep(replace(key, rotation=Rotation(days, call.now + days * DAY_SECONDS)))

    def disable(self, call: Call) -> None:
        self._keyring.keep(replace(rotatable(usable(self._key(call))), rotation=None))

    def status(self, call: Call) -> dict[str, Any]:
        key = rotatable(self._key(call))
        # AWS says "not enabled" of a key that waits for its deletion, and rotates none that is disabled.
        rotation = key.rotation if key.deletion is None else None
        answer: dict[str, Any] = {"KeyId": key.arn, "KeyRotationEnabled": rotation is not None}
        if rotation is not None:
            answer |= {"RotationPeriodInDays": rotation.period_days, "NextRotationDate": _time(rotation.next)}
        return answer

    def on_demand(self, call: Call) -> dict[str, Any]:
        key = rotatable(usable(self._key(call)))
        done = sum(material.rotation == "ON_DEMAND" for material in key.materials)
        if done >= _MOST_ON_DEMAND:
            raise AwsError("LimitExceededException", f"On-demand rotation limit of {_MOST_ON_DEMAND} is reached")
        self._keyring.rotated(key, call.now, "ON_DEMAND")
        return {"KeyId": key.arn}

    def list_all(self, call: Call) -> dict[str, Any]:
        key = rotatable(not_pending(self._key(call)))
        everything = call.params.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
        shown = []
        for material in key.materials:
            if not material.rotation and not everything:
                continue
            state = "CURRENT" if material is key.materials[-1] else "NON_CURRENT"
            entry = {"KeyId": key.arn, "KeyMaterialId": material.id, "KeyMaterialState": state}
            rotated = {"RotationDate": _time(material.created), "RotationType": material.rotation}
            shown.append(entry | rotated if material.rotation else entry)
        return page(call, "Rotations", shown, most=1000, default=100)

    def _key(self, call: Call) -> Key:
        return self._keyring.existing(call, str(call.params["KeyId"]))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
