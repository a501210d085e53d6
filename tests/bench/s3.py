"""S3: put and get 64 KiB over HTTP, signed; ours verifies signature, checksum and permission, moto none of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

from tests.bench.load import busy
from tests.bench.ours import Place, our_cloud
from tests.bench.peers import moto_server
from tests.bench.row import Row

BODY = os.urandom(64 * 1024)
KEYS = 32
AIMS = {"PUT": 3.5, "GET": 3.0}


def bench() -> Iterator[Row]:
    """Requests per second with four clients."""
    with our_cloud() as ours, moto_server() as moto_url:
        moto = Place(moto_url)
        for method, count in (("PUT", 800), ("GET", 1600)):
            rates = {}
            for place in (ours, moto):
                if method == "PUT":
                    bucket = {"LocationConstraint": "us-west-2"}
                    place.aws("s3").create_bucket(Bucket="bench", CreateBucketConfiguration=bucket)
                body = BODY if method == "PUT" else b""
                turns = itertools.cycle([place.signed(method, f"/bench/key-{n}", body) for n in range(KEYS)])
                rates[place] = busy(place.url, lambda turns=turns: next(turns), count=count).per_second
            ratio = rates[ours] / rates[moto]
            peer = f"moto {rates[moto]:.0f}/s, {ratio:.1f}×"
            aim = AIMS[method]
            yield Row("s3", f"{method} 64 KiB, 4 clients", f"{rates[ours]:.0f}/s", peer, f"≥ {aim}×", ratio >= aim)
