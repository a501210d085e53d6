"""Many requests at once, results in order, and never more in memory than a bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Readers:
    """A bounded set of threads that ask the bucket."""

    def __init__(self, pool: ThreadPoolExecutor, count: int) -> None:
        self._pool = pool
        # Enough that a slow answer does not leave the others idle, few enough that their bodies are small change.
        self._window = 4 * count

    def in_order(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """``work`` of every item, in the items' order; the first failure is raised, the rest is dropped."""
        running: deque[Future[R]] = deque()
        try:
            for item in items:
                running.append(self._pool.submit(work, item))
                if len(running) >= self._window:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


@contextmanager
def readers(count: int) -> Iterator[Readers]:
    """``count`` threads until the block ends; on a failure nothing that waits is begun."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="export")
    try:
        yield Readers(pool, count)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
