"""More machines than one: the same chunks of work through `dask.distributed`."""

from __future__ import annotations

import inspect
import itertools
import logging
import math
import time
import tomllib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hopcast.core.chunks import resolve_workers
from hopcast.core.errors import ConfigError, HopcastError, nearest
from hopcast.core.inputs import refuse_pipe

# A unit of work may lose this many workers under it before it is blamed for them.
LOSSES = 20
# Seconds without any worker, or without the scheduler, after which a run gives up.
PATIENCE = 60.0
# Units of work a thread that are handed over ahead of the one that is asked for.
_AHEAD = 4
# Seconds of work that are handed over together, and items at most: a journey takes the scheduler some ms.
_BUNDLE = 0.1
_LARGEST = 16
# Seconds between looks at a unit that is not finished, and between counts of the workers.
_POLL = 0.5
_RECOUNT = 2.0

# Dask's workers give every freed array back to the system at once, and each new one costs page faults: a tenth of the time of
# work that makes arrays of some 100 kB.
_KEEP_MEMORY = {
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**28,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**26,
}

_INSTALL = 'Schedulers need Dask: install it with `pip install "hopcast[dask]"`.'
# what `open_scheduler` decides itself, and old names that Dask-Jobqueue warns about
_NOT_OPTIONS = {
    "self",
    "n_workers",
    "job_cls",
    "loop",
    "asynchronous",
    "silence_logs",
    "scheduler",
    "scheduler_cls",
    "security",
    "config_name",
    "name",
    "job_kwargs",
    "base_class_kwargs",
    "extra",
    "env_extra",
    "header_skip",
    "job_extra",
    "project",
}


class SchedulerError(HopcastError, ConnectionError):
    """Other machines cannot be reached, or were lost."""

    exit_code = 2


class Scheduler:
    """Maps functions over items on the workers of a Dask scheduler, like a `concurrent.futures.Executor`.

    Parameters
    ----------
    client
        A connected `distributed.Client`.
    patience
        Seconds without any worker after which the run gives up.
    """

    def __init__(self, client: Any, patience: float = PATIENCE) -> None:
        self._client, self._patience = client, patience

    @property
    def n_threads(self) -> int:
        """Threads of all workers at this moment."""
        return sum(worker["nthreads"] for worker in self._workers().values())

    def map(self, fn: Callable[..., Any], /, *iterables: Iterable[Any]) -> Iterator[Any]:
        """Yield ``fn(*item)`` in the order of the items.

        The function travels once to each worker and must be picklable, with its items; short items travel together, for
        about a tenth of a second of work, and a few of these bundles a thread are under way at a time. The work of a lost worker is done again by another.

        Raises
        ------
        SchedulerError
            If the scheduler, or all its workers, are lost for longer than the patience; if a unit of work has lost 20
            workers.
        """
        held = self._submit(_held, fn)
        waiting: deque[tuple[Any, list[tuple[Any, ...]]]] = deque()
        ahead, counted, size = 0, -math.inf, 1
        all_items = zip(*iterables, strict=True)
        while bundle := list(itertools.islice(all_items, size)):
            waiting.append((self._submit(_call, held, bundle), bundle))
            if time.monotonic() - counted > _RECOUNT:  # workers come and go; to count them takes some ms
                ahead, counted = _AHEAD * max(self.n_threads, 1), time.monotonic()
            if len(waiting) > ahead:
                values, seconds = self._result(waiting.popleft(), held)
                size = max(1, min(_LARGEST, round(_BUNDLE * len(values) / max(seconds, 1e-9))))
                yield from values
        while waiting:
            yield from self._result(waiting.popleft(), held)[0]

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        import dask

        # a model of some MB is sent once: no need to warn of it
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}):
            return self._client.submit(function, *arguments, pure=False)

    def _workers(self) -> dict[str, Any]:
        return dict(self._client.scheduler_info(n_workers=-1)["workers"])

    def _result(self, unit: tuple[Any, list[tuple[Any, ...]]], held: Any) -> tuple[list[Any], float]:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        future, bundle = unit
        losses = 0
        seen = time.monotonic()
        while True:
            try:
                found: tuple[list[Any], float] = future.result(timeout=_POLL)
                return found
            except TimeoutError:
                if future.status == "error":  # the function's own
                    raise
                connected = self._client.status == "running"
                if connected and self._workers():
                    seen = time.monotonic()
                elif time.monotonic() - seen > self._patience:
                    lost = "any worker" if connected else "an answer"
                    raise SchedulerError(
                        f"The scheduler {self._address} must have workers, but has been without {lost} for "
                        f"{self._patience:g} s. Start workers (or it) again; finished chunks need not be computed twice."
                    ) from None
            except KilledWorker as error:
                # schedulers of others give up early: the unit is handed over again
                losses += error.allowed_failures + 1
                if losses > LOSSES:
                    raise SchedulerError(
                        f"A unit of work must leave its worker alive, but {losses} workers died under it: they may have "
                        "too little memory. Give them more, or fewer threads each."
                    ) from None
                if held.status == "error":
                    held.retry()
                future = self._submit(_call, held, bundle)
            except FutureCancelledError:
                raise SchedulerError(
                    f"The scheduler {self._address} must keep running, but was lost with the work that it held. Start it again."
                ) from None

    @property
    def _address(self) -> str:
        return f"`{self._client.scheduler.address}`" if self._client.scheduler else "that was asked for"


@contextmanager
def open_scheduler(
    address: str, *, options_file: str | Path | None = None, workers: int | None = None, patience: float = PATIENCE
) -> Iterator[Scheduler]:
    """Connect to a Dask scheduler, or start one, for as long as the context lasts.

    Parameters
    ----------
    address
        ``"tcp://host:port"`` (or ``tls://``) of a running scheduler; ``"local"``: worker processes on this machine;
        ``"slurm"``: workers as jobs of a SLURM cluster, submitted from here and submitted again when they end.
    options_file
        For ``"slurm"``: TOML file with the options of the site, one key a line, those of
        `dask_jobqueue.SLURMCluster` (queue, account, cores, memory, walltime, ...).
    workers
        Worker processes to start (``"local"``: the cores of this process by default, ``"slurm"``: one).
    patience
        Seconds to wait for a scheduler that does not answer or has lost all its workers. The first SLURM job is waited for
        as long as it queues.

    Yields
    ------
    Scheduler
        What `map_chunks`, `stream_chunks` and everything with an argument `executor` take.

    Raises
    ------
    ConfigError
        If Dask is not installed, or an option is unknown.
    SchedulerError
        If the scheduler cannot be reached or has no workers.
    """
    if not (address in ("local", "slurm") or address.startswith(("tcp://", "tls://"))):
        raise ConfigError(
            "Argument `scheduler` must be `local`, `slurm` or the address of a Dask scheduler like `tcp://host:8786`, but is "
            f"`{address}`.{nearest(address, ('local', 'slurm'))}"
        )
    if options_file is not None and address != "slurm":
        raise ConfigError(
            f"A file with scheduler options must come with the scheduler `slurm`, but the scheduler is `{address}`."
        )
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise ConfigError(_INSTALL) from None

    with ExitStack() as stack:
        settings = {
            "distributed.scheduler.allowed-failures": LOSSES - 1,
            # what is under way is bounded here: workers need not come back to the scheduler for every unit
            "distributed.scheduler.worker-saturation": "inf",
            **_KEEP_MEMORY,
        }
        stack.enter_context(dask.config.set(settings))
        target: Any = address
        if address == "local":
            target = stack.enter_context(
                LocalCluster(
                    n_workers=resolve_workers(workers),
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=":0",
                    silence_logs=logging.CRITICAL,
                )
            )
        elif address == "slurm":
            target = stack.enter_context(slurm_cluster(options_file))
            n_workers = 1 if workers is None else resolve_workers(workers)
            target.adapt(minimum=n_workers, maximum=n_workers)
        try:
            client = stack.enter_context(Client(target, timeout=patience, set_as_default=False))
        except (OSError, TimeoutError, ValueError) as error:
            raise SchedulerError(
                f"The scheduler `{address}` must answer, but did not within {patience:g} s ({error}). Check host and port, and "
                "that `dask scheduler` runs there."
            ) from None
        scheduler = Scheduler(client, patience)
        try:
            client.wait_for_workers(1, timeout=None if address == "slurm" else patience)
        except TimeoutError:
            raise SchedulerError(
                f"The scheduler `{address}` must have workers, but has had none for {patience:g} s. Start them with "
                f"`dask worker {address}`."
            ) from None
        yield scheduler


def slurm_cluster(options_file: str | Path | None) -> Any:
    """Return a `dask_jobqueue.SLURMCluster` (no job is submitted yet) with the options of a TOML file.

    Raises
    ------
    ConfigError
        If Dask-Jobqueue is not installed, the file cannot be read, or an option is unknown, missing or of a wrong type.
    """
    try:
        from dask_jobqueue import SLURMCluster
        from dask_jobqueue.core import Job
        from dask_jobqueue.slurm import SLURMJob
    except ImportError:
        raise ConfigError(_INSTALL) from None
    if options_file is None:
        raise ConfigError(
            "The scheduler `slurm` needs a file with the options of the site (`--scheduler-options slurm.toml`), at least "
            "`cores` and `memory` of a job."
        )
    name = refuse_pipe(options_file)
    try:
        options = tomllib.loads(name.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"File `{name}` cannot be read: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"File `{name}` is not valid TOML: {error}.") from error
    signatures = (inspect.signature(one.__init__) for one in (SLURMCluster, SLURMJob, Job))
    known = {key for signature in signatures for key in signature.parameters} - _NOT_OPTIONS
    for key in options:
        if key not in known:
            raise ConfigError(
                f"File `{name}` has the unknown key `{key}` for the scheduler slurm.{nearest(key, known)}"
            )
    for key, kind, words in (("cores", int, "the cores of a job"), ("memory", str, 'the memory of a job, like "8GB"')):
        if not isinstance(options.get(key), kind):
            found = f"it is {options[key]!r}" if key in options else "does not"
            raise ConfigError(f"File `{name}` must have the key `{key}`, {words}, but {found}.")
    try:
        # a free port for the dashboard, whatever else runs on this machine
        own = {"dashboard_address": ":0", **options.pop("scheduler_options", {})}
        return SLURMCluster(**options, scheduler_options=own, silence_logs=logging.CRITICAL)
    except (TypeError, ValueError, OSError) as error:
        raise ConfigError(
            f"File `{name}` must hold options that Dask-Jobqueue accepts, but it says: {error}"
        ) from error


def _held(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep the function on a worker as the result of a task, which is made again where it is lost."""
    return function


def _call(function: Callable[..., Any], bundle: list[tuple[Any, ...]]) -> tuple[list[Any], float]:
    """Return the results of a few items, and the seconds they took."""
    start = time.perf_counter()
    return [function(*item) for item in bundle], time.perf_counter() - start
