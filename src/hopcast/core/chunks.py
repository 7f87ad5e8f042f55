"""Work cut into chunks and mapped over threads; results never depend on the number of either."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from hopcast.core.errors import ConfigError

T = TypeVar("T")
R = TypeVar("R")


def resolve_workers(workers: int | None) -> int:
    """Return the number of threads: `workers`, or the cores this process may use.

    Raises
    ------
    ConfigError
        If `workers` is below one.
    """
    if workers is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if workers < 1:
        raise ConfigError(f"Argument `workers` must be at least 1, but is {workers}.")
    return workers


def chunk_slices(n_items: int, size: int) -> list[slice]:
    """Return consecutive slices of at most `size` items that cover ``range(n_items)``."""
    return [slice(start, min(start + size, n_items)) for start in range(0, n_items, size)]


def map_chunks(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    workers: int | None = None,
    executor: Executor | None = None,
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
        Where to run instead of threads of our own (any `concurrent.futures.Executor`).
    """
    if executor is not None:
        return list(executor.map(function, items))
    n_workers = min(resolve_workers(workers), len(items))
    if n_workers <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(n_workers) as pool:
        return list(pool.map(function, items))


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Run linear algebra on one thread: one thread layer only, and the same bits whatever the machine does."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
