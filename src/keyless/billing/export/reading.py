"""Many requests at once, results in order, and never more in memory than a bound."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# Where answers come at once, more threads only get in each other's way.
FEW = 8
# An answer that takes longer than this is worth waiting for many at a time.
SLOW_SECONDS = 0.008
# Objects of at most this size are read many at a time, and twice as many are kept as are asked for at once.
BODY_LIMIT = 256 * 2**10
# One hand-over to a thread costs as much as a tenth of a request: several are handed over together.
BATCH = 16


class Readers:
    """A bounded set of threads that ask the bucket: a few, and all of them once answers turn out to be slow."""

    def __init__(self, pool: ThreadPoolExecutor, count: int) -> None:
        self._pool = pool
        self._count = count
        self._at_once = min(FEW, count)

    def in_order(self, work: Callable[[T], R], items: Iterable[T], *, expected: int = 0) -> Iterator[R]:
        """``work`` of every item, in the items' order; the first failure is raised, the rest is dropped.

        ``expected`` is how many items there will be, about: few are spread over the threads one by one.
        """
        running: deque[Future[tuple[list[R], float]]] = deque()
        size = max(1, min(BATCH, expected // (2 * self._count)))
        waiting = iter(items)
        try:
            while batch := list(islice(waiting, size)):
                running.append(self._pool.submit(_timed, work, batch))
                # Twice as many as are at work, so that none is idle while the first is waited for.
                while len(running) >= 2 * self._at_once:
                    yield from self._result(running)
            while running:
                yield from self._result(running)
        finally:
            for future in running:
                future.cancel()

    def _result(self, running: deque[Future[tuple[list[R], float]]]) -> list[R]:
        results, seconds = running.popleft().result()
        if results and seconds / len(results) > SLOW_SECONDS:
            self._at_once = self._count
        return results


def _timed(work: Callable[[T], R], batch: list[T]) -> tuple[list[R], float]:
    start = time.monotonic()
    return [work(item) for item in batch], time.monotonic() - start


@contextmanager
def readers(count: int) -> Iterator[Readers]:
    """``count`` threads at most until the block ends; on a failure nothing that waits is begun."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="export")
    try:
        yield Readers(pool, count)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
