"""`--executor ray`: the same functions over the same chunks, on the machines of a Ray cluster.

One actor per core takes chunks; a model that `function` opens stays open in it, so it is loaded once per actor. Actors
and not tasks, as Ray may run the next task of a function in another process. Pictures never pass through Ray or through
this process: actors read the files themselves, and what comes back is what was found out about them.

An actor that dies takes at most IN_FLIGHT chunks with it. They are run again, each alone in an actor of its own, and
halved where that dies as well, so that a picture that kills its decoder is found while a machine that was switched off
costs nothing but time.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Generic

from curate.errors import CurateError
from curate.executors import Crashed, Item, Result, available_cores, keep_freed_memory, quiet_c_libraries

if TYPE_CHECKING:
    from types import ModuleType

IN_FLIGHT = 2  # chunks per actor: the next one is there when one is done, and a death costs no more than these
MOST_DEATHS = 3  # of actors over one picture before it counts as the killer: a cluster also loses actors by accident
MOST_FAILED_STARTS = 5  # of actors in a row, before we say that the cluster is of no use
START_S = 600.0  # a cluster that grows on demand takes some minutes to add a machine
LOOK_EVERY_S = 2.0  # how often we ask whether the cluster is still there, while nothing comes back
GONE_S = 20.0  # Ray itself ends this process, without a word, after a minute without its head
STORE_BYTES, STORE_BYTES_PER_CORE = 100_000_000, 4_000_000  # Ray's least is 75 MB; results of two chunks take 1 MB
MOST_PATH = 40  # of a folder of sockets: with what Ray adds, Linux takes 107 characters


@dataclass(frozen=True)
class OnRay:
    """The actors of a Ray cluster.

    asked: how many; 0 = one per core of the cluster. address: see `curate.settings.ExecutorSettings`.
    """

    asked: int = 0
    address: str = ""

    @property
    def workers(self) -> int:
        """How many chunks run at the same time. Connects to the cluster where that has to be asked."""
        if self.asked or not self.address:
            return self.asked or available_cores()
        return int(_connected(self).cluster_resources().get("CPU", 0)) or 1

    def map(
        self, function: Callable[[Sequence[Item]], Result], chunks: Iterable[Sequence[Item]]
    ) -> Iterator[Result | Crashed[Item]]:
        """Yield `function(chunk)` for every chunk, in the order in which they finish.

        Raises CurateError when the cluster can't be reached, has another curate, does not see our files, or is gone.
        """
        waiting = iter(chunks)
        first = next(waiting, None)
        if first is None:
            return
        job = _Job(_connected(self), function, self.workers, _witness(first), deque([_Part(first)]))
        try:
            yield from job.results(waiting)
        finally:
            job.end()


@dataclass
class _Part(Generic[Item]):
    """Some items to work on. deaths: of actors that had them; from the first on they are run alone."""

    items: Sequence[Item]
    deaths: int = 0


@dataclass(eq=False)
class _Actor:
    """One of ours. running: by reference to the result, what it was given. machine: its address."""

    handle: Any
    machine: str = ""
    running: dict[Any, _Part[Any]] = field(default_factory=dict)

    def can_take(self, part: _Part[Any]) -> bool:
        """Whether there is room: parts under suspicion get an actor for themselves."""
        if part.deaths or any(other.deaths for other in self.running.values()):
            return not self.running
        return len(self.running) < IN_FLIGHT


@dataclass
class _Job(Generic[Item, Result]):
    """One call of `map`: actors, and what they have to do. witness: a file that every machine must see, or ""."""

    ray: ModuleType
    function: Callable[[Sequence[Item]], Result]
    most_actors: int
    witness: str
    todo: deque[_Part[Item]]
    starting: dict[Any, _Actor] = field(default_factory=dict)
    ready: list[_Actor] = field(default_factory=list)
    failed_starts: int = 0

    def __post_init__(self) -> None:
        self.head: str = self.ray.get_runtime_context().gcs_address
        self.looked_at = self.answered_at = self.worked_at = time.monotonic()
        self.worker = self.ray.remote(num_cpus=1, max_restarts=0)(_worker_class())
        self.work = self.ray.put(self.function)
        self.ours = what_this_is()

    def results(self, waiting: Iterator[Sequence[Item]]) -> Iterator[Result | Crashed[Item]]:
        """All results. waiting: chunks that are not in `todo` yet; they are taken as actors have room."""
        while True:
            while len(self.todo) < self.most_actors and (chunk := next(waiting, None)) is not None:
                self.todo.append(_Part(chunk))
            if self._look():
                self._hire()
            self._hand_out()
            running = {reference: actor for actor in self.ready for reference in actor.running}
            if not running and not self.todo:
                return
            done = self._wait([*running, *self.starting])
            for reference in done:
                if reference in self.starting:
                    self._welcome(reference)
                else:
                    yield from self._finished(running[reference], reference)

    def end(self) -> None:
        """Let the actors go, whatever they are doing."""
        for actor in [*self.ready, *self.starting.values()]:
            self._kill(actor)

    def _kill(self, actor: _Actor) -> None:
        # At the end of the process Ray may have gone first, and its actors with it.
        if self.ray.is_initialized() and _answers(self.head):
            self.ray.kill(actor.handle)

    def _hire(self) -> None:
        """Start as many actors as there is work for."""
        running = sum(len(actor.running) for actor in self.ready)
        wanted = min(self.most_actors, len(self.todo) + running)
        for _ in range(wanted - len(self.ready) - len(self.starting)):
            handle = self.worker.remote()
            self.starting[handle.prepare.remote(self.witness)] = _Actor(handle)

    def _hand_out(self) -> None:
        """One part at a time, each to the actor that has the least."""
        while self.todo and (free := [actor for actor in self.ready if actor.can_take(self.todo[0])]):
            actor, part = min(free, key=lambda one: len(one.running)), self.todo.popleft()
            actor.running[actor.handle.run.remote(self.work, part.items)] = part

    def _welcome(self, reference: Any) -> None:
        """An actor has started, or could not. Raises CurateError if it is of no use to us."""
        actor = self.starting.pop(reference)
        try:
            theirs, seen, actor.machine = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:  # its machine may be gone again
            self.failed_starts += 1
            if self.failed_starts >= MOST_FAILED_STARTS:
                raise CurateError(
                    f"No worker starts on the Ray cluster: {_first_line(error)}", "See: ray status, and Ray's logs."
                ) from None
            return
        self.failed_starts = 0
        _require_same(self.ours, theirs, actor.machine)
        if not seen and os.path.exists(self.witness):
            raise CurateError(
                f"The machine {actor.machine} of the Ray cluster does not see {self.witness!r}.",
                "All machines need the same folder under the same path, on a shared file system, or in s3://.",
            )
        self.ready.append(actor)

    def _finished(self, actor: _Actor, reference: Any) -> Iterator[Result | Crashed[Item]]:
        if reference not in actor.running:
            return  # its actor has died in the same moment, and the part is in `todo` again
        try:
            result: Result = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            raise _as_raised(error, actor.machine) from None
        except self.ray.exceptions.RayError:
            yield from self._bury(actor)
            return
        del actor.running[reference]
        yield result

    def _bury(self, actor: _Actor) -> Iterator[Crashed[Item]]:
        """An actor has died, or can't be reached: do what it had again, in others."""
        self.ready.remove(actor)
        self.looked_at = 0.0  # it may be the first sign that all are gone
        self._kill(actor)
        for part in actor.running.values():
            part.deaths += 1
            if part.deaths > 1 and len(part.items) > 1:
                middle = len(part.items) // 2
                self.todo.extend(_Part(half, deaths=1) for half in (part.items[:middle], part.items[middle:]))
            elif part.deaths < MOST_DEATHS:
                self.todo.append(part)
            else:
                yield Crashed(part.items[0])

    def _wait(self, references: list[Any]) -> list[Any]:
        """Those that are done, or have failed, once there are any; or none after a while."""
        if not references:
            time.sleep(LOOK_EVERY_S)  # the cluster is gone, or about to
            return []
        done: list[Any] = self.ray.wait(references, timeout=LOOK_EVERY_S)[0]
        return done

    def _look(self) -> bool:
        """Whether the head of the cluster answers; what asks it for something would otherwise wait for a minute, and
        then be ended by Ray. Raises CurateError when there is nobody left to work for us.
        """
        now = time.monotonic()
        if now < self.looked_at + LOOK_EVERY_S:
            return self.answered_at == self.looked_at
        self.looked_at = now
        if _answers(self.head):
            self.answered_at = now
        elif now > self.answered_at + GONE_S:
            raise CurateError(
                f"The Ray cluster is gone: its head, {self.head}, has not answered for {GONE_S:.0f} s.",
                "What was done is kept. Start the cluster again, and then the same command goes on from there.",
            )
        if self.ready:
            self.worked_at = now
        elif now > self.worked_at + START_S:
            raise CurateError(
                f"No core of the Ray cluster became free for {START_S:.0f} s.",
                "What was done is kept. See what the cluster is busy with: ray status",
            )
        return self.answered_at == now


# ---- What runs in an actor


def _worker_class() -> type:
    """The actor's class. It is made in a function so that Ray sends it by value: it says so where curate is missing."""

    class Worker:
        def prepare(self, witness: str) -> tuple[dict[str, str], bool, str]:
            """What is installed here, whether that file is seen from here, and the address of this machine."""
            import os

            import ray

            machine = ray.util.get_node_ip_address()
            try:
                from curate.ray_executor import prepare_process, what_this_is
            except ImportError:
                return {}, False, machine
            prepare_process()
            return what_this_is(), not witness or os.path.exists(witness), machine

        def run(self, function: Callable[[Any], Any], chunk: Any) -> Any:
            return function(chunk)

    return Worker


def prepare_process() -> None:
    """Make an actor's process as the workers of `Processes` are."""
    keep_freed_memory()
    gc.freeze()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff and libpng print to C stderr, which Ray would keep


def what_this_is() -> dict[str, str]:
    """What has to be the same everywhere, so that the result does not depend on who computed it: name -> version."""
    from curate.cache import tasks_and_columns
    from curate.imaging import DECODERS

    found = {name: version(name) for name in ("curate", "numpy", "onnxruntime")}
    return found | {"decoders": DECODERS, "measurements": " ".join(sorted(tasks_and_columns()))}


def _require_same(ours: dict[str, str], theirs: dict[str, str], machine: str) -> None:
    """Raises CurateError where the machine has another curate, or none."""
    hint = "Install the same on every machine of the cluster, in the environment that Ray was started from."
    if not theirs:
        raise CurateError(f"curate can't be imported on the machine {machine} of the Ray cluster.", hint)
    for name, here in ours.items():
        if theirs.get(name) != here:
            raise CurateError(
                f"The machine {machine} of the Ray cluster has {name} {theirs.get(name)}, this one has {here}.", hint
            )


def _as_raised(error: Any, machine: str) -> BaseException:
    """The error that `function` raised there, as if it had been raised here. error: a RayTaskError."""
    cause = error.cause
    if isinstance(cause, CurateError):
        cause.hint = f"{cause.hint} This happened on {machine}, a machine of the Ray cluster.".strip()
    return cause if isinstance(cause, BaseException) else RuntimeError(str(error))


def _witness(chunk: Sequence[Any]) -> str:
    """A file of this chunk that is here, or "": what can't be seen from a machine is no fault of the pictures."""
    file = str(getattr(chunk[0], "file", "")) if chunk else ""
    return file if file and os.path.exists(file) else ""


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


# ---- The cluster

# What Ray reads from the environment: no report to its makers, and nothing of what happens to actors on our output,
# which may be JSON.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": "."}
# On start, Ray asks the metadata services of three clouds where it is, even with its reports off. A proxy that is not
# there keeps it from doing so; what runs in actors has the proxies of this process.
NO_PROXY_THERE = {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
# All on the loopback device, as Ray does by itself elsewhere than on Linux.
ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
HOW_TO_JOIN = (
    "Give host:port of its head. This machine must be part of it: ray start --address HOST:PORT --num-cpus 0; see "
    "docs/executors.md."
)


def _connected(chosen: OnRay) -> ModuleType:
    """Ray, connected: to the cluster that this process has joined already, else to that of the address, else to one of
    this machine alone, which ends with this process.

    Raises CurateError where Ray is not installed or can't be reached.
    """
    os.environ.update(QUIET if chosen.address else QUIET | ALONE)  # before the import
    try:
        ray = import_module("ray")
    except ImportError:
        raise CurateError("Ray is not installed.", "Run: pip install 'curate[ray]'") from None
    if chosen.address not in ("", "auto") and not _answers(chosen.address):
        raise CurateError(f"No Ray cluster answers at {chosen.address!r}.", HOW_TO_JOIN)
    if ray.is_initialized():
        return ray
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what is wrong reaches us as errors
    where = {"address": chosen.address} if chosen.address else _local(ray, chosen.workers)
    try:
        # It also says on C stderr what reaches us as an error.
        with quiet_c_libraries(), _environment({} if chosen.address else NO_PROXY_THERE):
            ray.init(**where, log_to_driver=False, configure_logging=False)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        name = f"at {chosen.address!r}" if chosen.address else "of this machine"
        raise CurateError(f"The Ray cluster {name} can't be used: {_innermost(error)}", HOW_TO_JOIN) from error
    return ray


def _innermost(error: BaseException) -> str:
    """What Ray says was wrong: the error behind all others, and of a traceback in its text the last line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1] if any("Traceback" in line for line in lines) else " ".join(lines)


def _answers(head: str) -> bool:
    """Whether somebody listens there. head: host:port."""
    host, _, port = head.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=LOOK_EVERY_S).close()
    except (OSError, ValueError):
        return False
    return True


def _local(ray: ModuleType, cores: int) -> dict[str, Any]:
    """Arguments of `ray.init` for a cluster that nobody else can use.

    Its files are removed at the end; where this process is killed, they stay in the folder for temporary files.
    """
    # The password of clusters that this process starts: other accounts of the machine could run code as us. Without
    # this one Ray writes one to the home folder.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    short = tempfile.gettempdir() if len(tempfile.gettempdir()) < MOST_PATH else "/tmp"  # noqa: S108  made by mkdtemp
    folder = tempfile.mkdtemp(prefix="curate-", dir=short)
    atexit.register(_end, ray, folder)
    return {
        "address": "local",
        "num_cpus": cores,
        "object_store_memory": max(STORE_BYTES, cores * STORE_BYTES_PER_CORE),
        "include_dashboard": False,
        "runtime_env": {"env_vars": {name: _proxy(name) for name in NO_PROXY_THERE}},
        "_temp_dir": folder,
    }


def _proxy(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.upper(), "")


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """With these variables, for a while."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _end(ray: ModuleType, folder: str) -> None:
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
