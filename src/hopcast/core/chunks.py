"""Work cut into chunks and mapped over threads, or over other machines; results never depend on the number of either."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar

from hopcast.core.errors import check_number

T = TypeVar("T")
R = TypeVar("R")

# chunks a thread that are computed ahead of the one that is asked for
_AHEAD = 2
# portable chunks that are worth sending elsewhere
_FEWEST = 4


class Mapper(Protocol):
    """Whatever maps a function over items in their order: any `concurrent.futures.Executor`, or `open_scheduler`'s."""

    def map(self, fn: Callable[..., Any], /, *iterables: Iterable[Any]) -> Iterator[Any]:
        """Return the results in the order of the items."""


def resolve_workers(workers: int | None) -> int:
    """Return the number of threads: `workers`, or the cores this process may use.

    Raises
    ------
    ConfigError
        If `workers` is below one.
    """
    if workers is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    check_number("workers", workers, whole=True, least=1)
    return int(workers)


def chunk_slices(n_items: int, size: int) -> list[slice]:
    """Return consecutive slices of at most `size` items that cover ``range(n_items)``."""
    return [slice(start, min(start + size, n_items)) for start in range(0, n_items, size)]


_elsewhere: Mapper | None = None


@contextmanager
def computing_on(executor: Mapper | None) -> Iterator[None]:
    """Compute portable chunks of work on an executor instead of in threads, for as long as the context lasts.

    What `joblib.parallel_config` is to scikit-learn: whatever runs inside (a study, a ranking) needs no argument for it.
    None changes nothing. Not for several threads of a program at a time.
    """
    global _elsewhere
    before, _elsewhere = _elsewhere, executor
    try:
        yield
    finally:
        _elsewhere = before


def map_chunks(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    workers: int | None = None,
    executor: Mapper | None = None,
    portable: bool = False,
) -> list[R]:
    """Return ``[function(item) for item in items]``, computed by threads, in the order of the items.

    Parameters
    ----------
    function
        Must release the GIL to gain from threads (Numba ``nogil``, NumPy); must not write to shared data
        except to the part that belongs to its item.
    items
        Units of work.
    workers
        Number of threads; None takes the cores of the process.
    executor
        Where to run instead of threads of our own. On other processes `function` and items travel, and nothing that
        `function` writes comes back: it must return its result.
    portable
        The function returns its result and writes nothing, and is worth the journey: it goes where `computing_on` says.
    """
    if executor is None and portable and len(items) >= _FEWEST:
        executor = _elsewhere
    if executor is not None:
        return list(executor.map(function, items))
    n_workers = min(resolve_workers(workers), len(items))
    if n_workers <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(n_workers) as pool:
        return list(pool.map(function, items))


def stream_chunks(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    workers: int | None = None,
    executor: Mapper | None = None,
    portable: bool = False,
) -> Iterator[R]:
    """Yield what `map_chunks` returns, one after the other, in memory that does not grow with their number.

    Parameters
    ----------
    function, workers, executor, portable
        As for `map_chunks`.
    items
        Units of work; taken only as far as they are worked on (except by executors that take all at once).
    """
    n_workers = resolve_workers(workers)
    executor = executor or (_elsewhere if portable else None)
    if executor is not None:
        yield from executor.map(function, items)
    elif n_workers == 1:
        yield from map(function, items)
    else:
        waiting: deque[Future[R]] = deque()
        pool = ThreadPoolExecutor(n_workers)
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > _AHEAD * n_workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


class _SingleThread:
    """The limit of all threads together: set by the first that enters, lifted by the last that leaves."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.limit: AbstractContextManager[Any] | None = None

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                from threadpoolctl import threadpool_limits

                self.limit = threadpool_limits(limits=1)
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0 and self.limit is not None:
                self.limit.__exit__(None, None, None)
                self.limit = None


_SINGLE_THREAD = _SingleThread()


def single_threaded_blas() -> AbstractContextManager[None]:
    """Run linear algebra on one thread: one thread layer only, and the same bits whatever the machine does.

    The limit is the process's, not the thread's, and finding the libraries takes milliseconds: threads that enter
    while another is inside share its limit.
    """
    return _SINGLE_THREAD
