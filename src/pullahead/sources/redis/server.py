"""A server and what can go wrong with it: redis-py, behind two verbs.

`ask` sends commands in one go and returns their answers, or raises: `Away` where it may be worth another try
(a connection that was cut, a server that has no memory or no disk left), `SourceError` where it is not (a
password that is wrong, a key that is no stream). `reach` does something with the server that may be tried
again.

In a cluster, all that we say is for the node that has the stream, and goes there by itself. Refused:
redis-py's pipeline over a cluster. It sends again what was lost with a connection, which may have happened.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, final

from pullahead.errors import SourceError
from pullahead.sources.reach import Away, Reach, brief

if TYPE_CHECKING:
    from pullahead.sources.redis.address import Address

Command = tuple[Any, ...]

#: Seconds until a connection is there, or is given up. A server that is far away takes one.
_CONNECT: Final = 10.0
#: Seconds until a call that waits for nothing has its answer, or the connection counts as cut.
_ANSWER: Final = 30.0
#: How an answer begins of a server that does not serve just now: a disk or replicas are missing, a script
#: takes long, what a call waited for has gone. For others redis-py has classes.
_NOT_NOW: Final = ("MISCONF", "NOREPLICAS", "BUSY ", "UNBLOCKED")


def redis_py() -> Any:
    """Return redis-py.

    Raises:
        ImportError: it is not installed. The message says how to get it.
    """
    try:
        import redis
    except ImportError:
        raise ImportError("an address of Redis needs redis-py: pip install 'pullahead[redis]'") from None
    return redis


def known_options() -> frozenset[str]:
    """Return the options that an address may have because redis-py has them."""
    redis = redis_py()
    found = set(redis.connection.URL_QUERY_ARGUMENT_PARSERS)
    for kind in (redis.Connection, redis.SSLConnection, redis.UnixDomainSocketConnection):
        for one in kind.__mro__[:-1]:
            found |= set(inspect.signature(one.__init__).parameters)
    return frozenset(found - {"self", "args", "kwargs", "host", "port", "path"})


@cache
def script(name: str) -> str:
    """Return one of our scripts, without what it says to people only."""
    text = resources.files("pullahead.sources.redis").joinpath("lua", f"{name}.lua").read_text()
    return "\n".join(line for line in text.splitlines() if line and not line.startswith("--"))


def run(name: str, keys: Sequence[str], *arguments: Any) -> Command:
    """Return the command that runs one of our scripts."""
    return ("EVAL", script(name), len(keys), *keys, *arguments)


@final
class Server(Reach):
    """See the module. Used from one thread at a time.

    Args:
        address: where it is.
        beside: the stream, if any, that has to be in the slot of the address's in a cluster.

    Raises:
        SourceError: it does not answer, or refuses us, or is a node of a cluster that is not named as one.
        ValueError: redis-py does not understand the address, or its streams are not in one slot of a cluster.
    """

    def __init__(self, address: Address, beside: str = "") -> None:
        super().__init__(address.shown, address.patience)
        self._redis = redis_py()
        self._stream = address.stream
        self._is_cluster = address.cluster
        self._is_lost = False  # whether the stream may be on another node by now
        if address.cluster and beside:
            self._check_slots(beside)
        with self.now():
            self._client = self._make(address)
        try:
            with self.now():
                self.ask([("PING",)])
                if not address.cluster and self._is_node():
                    raise self._without_cluster()
        except SourceError:
            self.close()
            raise

    def _check_slots(self, beside: str) -> None:
        """What is moved to the dead letters is moved in one step, so it has to be on one node."""
        slot = self._redis.crc.key_slot
        if slot(self._stream.encode()) != slot(beside.encode()):
            raise ValueError(
                f"expected stream and dead in one slot of the cluster in {self.shown}, "
                f"got {self._stream!r} and {beside!r}: "
                "keys with the same part in braces are, such as {jobs} and {jobs}:dead"
            )

    def _is_node(self) -> bool:
        """Whether this is a node of a cluster. Who does not say so is none: not every proxy understands."""
        try:
            told = self.ask([("INFO", "cluster")])[0]
        except SourceError:
            return False
        return isinstance(told, dict) and bool(told.get("cluster_enabled"))

    def _without_cluster(self) -> SourceError:
        return SourceError(f"expected cluster=1 in the address of a node of a cluster, got {self.shown}")

    def _make(self, address: Address) -> Any:
        redis = self._redis
        never = redis.retry.Retry(redis.backoff.NoBackoff(), 0)  # we know better what may be sent twice
        given = {"protocol": 2, "decode_responses": False, "retry": never}
        limits = {"socket_connect_timeout": _CONNECT, "socket_timeout": _ANSWER}
        kind = redis.RedisCluster if address.cluster else redis.Redis
        try:
            return kind.from_url(address.url, **limits, **given)  # what the address says goes before it
        except (redis.RedisError, redis.exceptions.RedisClusterException) as error:
            raise self._sorted(error) from error  # a cluster is connected at once
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"expected an address that redis-py understands, got {self.shown}: {error}"
            ) from None

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one go. Returns their answers, in order."""
        redis = self._redis
        try:
            pipeline = self._node().pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers = pipeline.execute(raise_on_error=False)
        except (redis.RedisError, redis.exceptions.RedisClusterException, OSError) as error:
            raise self._sorted(error) from error
        for answer in answers:
            if isinstance(answer, Exception):
                raise self._sorted(answer) from answer
        return list(answers)

    @property
    def answer(self) -> float:
        """Seconds that an answer may take, as the address says, or as we do."""
        client = self._client
        given = (
            client.get_connection_kwargs() if self._is_cluster else client.connection_pool.connection_kwargs
        )
        return float(given.get("socket_timeout") or _ANSWER)

    def check_streams(self, *names: str) -> None:
        """See whether these are streams, or not there yet. Otherwise the connection is closed.

        Raises:
            SourceError: something else has that name, or the server cannot be reached.
        """
        try:
            with self.now():
                for name in names:
                    kind = self._allowed(("TYPE", name))
                    kind = kind.decode() if isinstance(kind, bytes) else kind
                    if kind not in (None, "none", "stream"):
                        raise SourceError(f"{self.shown}: expected {name!r} to be a stream, got a {kind}")
        except SourceError:
            self.close()
            raise

    def _allowed(self, command: Command) -> Any:
        """Return the answer, or None: we may not ask that."""
        try:
            return self.ask([command])[0]
        except Forbidden:
            return None

    def _node(self) -> Any:
        """Return redis-py's client of where the stream is."""
        if not self._is_cluster:
            return self._client
        if self._is_lost:
            self._client.nodes_manager.initialize()
            self._is_lost = False
        return self._client.get_redis_connection(self._client.get_node_from_key(self._stream))

    def _sorted(self, error: Exception) -> Exception:
        """Return what to raise: whether waiting could help."""
        redis = self._redis
        refused = (redis.AuthenticationError, redis.exceptions.AuthorizationError)
        if isinstance(error.__cause__, refused):  # of a cluster, redis-py says that no node can be reached
            error = error.__cause__
        said = brief(error)
        if isinstance(error, redis.TimeoutError) and error.__context__ is not None:
            said = f"{said}: {brief(error.__context__)}"  # in what: a server without TLS shakes no hands
        if isinstance(error, redis.exceptions.NoPermissionError):
            return Forbidden(f"{self.shown} refuses us: {said}")
        if isinstance(error, refused) or said.startswith("NOAUTH"):
            return SourceError(f"{self.shown} refuses us: {said}")
        if isinstance(error, redis.exceptions.AskError) and not self._is_cluster:
            return self._without_cluster()
        if isinstance(error, self._passing()) or said.startswith(_NOT_NOW):
            self._is_lost = True
            return Away(said)
        if "NOGROUP" in said:
            return NoGroup(f"{self.shown}: {said}")
        return SourceError(f"{self.shown}: {said}")

    def _passing(self) -> tuple[type[Exception], ...]:
        """Return redis-py's errors of what may be over soon."""
        known = self._redis.exceptions
        of_a_cluster = (known.ClusterDownError, known.AskError, known.TryAgainError)  # also of one that moves
        unreachable = (known.ConnectionError, known.TimeoutError, known.RedisClusterException, OSError)
        return (*unreachable, *of_a_cluster, known.ReadOnlyError, known.OutOfMemoryError)

    def listen(self, channel: str) -> Any:
        """Return redis-py's ear for a channel, with a connection of its own. Raises as `ask` does."""
        redis = self._redis
        ear = self._client.pubsub()
        try:
            ear.subscribe(channel)
        except (redis.RedisError, redis.exceptions.RedisClusterException, OSError) as error:
            ear.close()
            raise self._sorted(error) from error
        return ear

    def close(self) -> None:
        """Let go of the connections."""
        if self._is_cluster:
            self._client.disconnect_connection_pools()  # or they are there until garbage is collected
        self._client.close()


class NoGroup(SourceError):  # noqa: N818  it is mended, not shown
    """The stream or its group is not there (any more): somebody deleted it, or the server lost its data."""


class Forbidden(SourceError):  # noqa: N818  as the other one
    """Whom the address names may not do this."""
