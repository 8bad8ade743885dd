"""A server and what can go wrong with it: redis-py, behind two verbs.

`ask` sends commands in one go and returns their answers, or raises: `Away` where it may be worth another try,
`SourceError` where it is not (a password that is wrong, a key that is no stream). `reach` does something with
the server that may be tried again.
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

    Raises:
        SourceError: it does not answer, or refuses us.
        ValueError: redis-py does not understand the address.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address.shown, address.patience)
        self._redis = redis_py()
        self._client = self._make(address)
        try:
            self.ask([("PING",)])
        except Away as error:
            self.close()
            raise SourceError(f"cannot reach {self.shown}: {error}") from error
        except SourceError:
            self.close()
            raise

    def _make(self, address: Address) -> Any:
        redis = self._redis
        never = redis.retry.Retry(redis.backoff.NoBackoff(), 0)  # we know better what may be sent twice
        given = {"protocol": 2, "decode_responses": False, "retry": never}
        limits = {"socket_connect_timeout": _CONNECT, "socket_timeout": _ANSWER}
        kind = redis.RedisCluster if address.cluster else redis.Redis
        try:
            return kind.from_url(address.url, **limits, **given)  # what the address says goes before it
        except (
            redis.RedisError,
            redis.exceptions.RedisClusterException,
        ) as error:  # a cluster is connected at once
            raise SourceError(f"cannot reach {self.shown}: {brief(error)}") from error
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"expected an address that redis-py understands, got {self.shown}: {error}"
            ) from None

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one go. Returns their answers, in order."""
        redis = self._redis
        try:
            pipeline = self._client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers = pipeline.execute(raise_on_error=False)
        except (redis.RedisError, redis.exceptions.RedisClusterException, OSError) as error:
            raise self._sorted(error) from error
        for answer in answers:
            if isinstance(answer, Exception):
                raise self._sorted(answer) from answer
        return list(answers)

    def _sorted(self, error: Exception) -> Exception:
        """Return what to raise: whether waiting could help."""
        redis, said = self._redis, brief(error)
        refused = (
            redis.AuthenticationError,
            redis.exceptions.AuthorizationError,
            redis.exceptions.NoPermissionError,
        )
        if isinstance(error, refused) or said.startswith("NOAUTH"):
            return SourceError(f"{self.shown} refuses us: {said}")
        waits = redis.ConnectionError, redis.TimeoutError, redis.exceptions.ClusterDownError, OSError
        if isinstance(error, waits) or said.startswith(("LOADING", "READONLY", "MASTERDOWN", "TRYAGAIN")):
            return Away(said)
        if "NOGROUP" in said:
            return NoGroup(f"{self.shown}: {said}")
        return SourceError(f"{self.shown}: {said}")

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
        """Let go of the connection."""
        self._client.close()


class NoGroup(SourceError):  # noqa: N818  it is mended, not shown
    """The stream or its group is not there (any more): somebody deleted it, or the server lost its data."""
