"""TLS: the right one works by address; what is wrong with another one is said in a line, and waited for."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from benchmarks.servers import free_port
from tests.sources.postgresql import PostgresServer
from tests.sources.servers import RedisServer
from tests.sources.tls import Certificate

import pullahead as pa
from pullahead.errors import SourceError
from pullahead.sources import open_sink, open_source

pytestmark = pytest.mark.timeout(180)  # of which each needs five seconds at most; servers take their time


def nap(x: int) -> int:
    time.sleep(0.005)
    return x


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def right(folder: Path) -> Certificate:
    return Certificate(folder, "right")


@pytest.fixture(scope="module")
def other(folder: Path) -> Certificate:
    return Certificate(folder, "other")


def line_of(address: str, open_it: Any = open_source) -> str:
    """Return what is said of an address that cannot be used."""
    with pytest.raises(SourceError) as caught:
        open_it(address)
    said = str(caught.value)
    assert "\n" not in said
    assert "secret" not in said
    return said


# Redis


class TlsRedis:
    """A server that speaks nothing but TLS, with a password."""

    def __init__(self, folder: Path, certificate: Certificate) -> None:
        self.port = free_port()
        self._key, self._certificate = folder / "redis-key.pem", folder / "redis.pem"
        self.show(certificate)
        files = ("--tls-cert-file", str(self._certificate), "--tls-key-file", str(self._key))
        trusts = ("--tls-ca-cert-file", str(self._certificate), "--tls-auth-clients", "no")
        where = ("--tls-port", str(self.port), "--bind", "127.0.0.1", "--requirepass", "secret")
        self.server = RedisServer(*where, *files, *trusts)

    def show(self, certificate: Certificate) -> None:
        """Prove with this one, once it has been restarted."""
        shutil.copy(certificate.key, self._key)
        shutil.copy(certificate.path, self._certificate)

    def address(self, stream: str, rest: str = "&group=g&drain=1", scheme: str = "rediss") -> str:
        return f"{scheme}://:secret@localhost:{self.port}/0?stream={stream}{rest}"


@pytest.fixture(scope="module")
def tls_redis(folder: Path, right: Certificate) -> Iterator[TlsRedis]:
    made = TlsRedis(folder, right)
    with closing(made.server):
        yield made


def test_redis_over_tls_from_stream_to_stream(tls_redis: TlsRedis, right: Certificate) -> None:
    trusted = f"&ssl_ca_certs={right.path}"
    tls_redis.server.put("jobs", range(5))
    addresses = tls_redis.address("jobs") + trusted, tls_redis.address("results", trusted)
    assert pa.run(nap, *addresses, workers=1).done == 5
    found = Counter(int(one["result"]) for _, one in tls_redis.server.client.xrange("results"))
    assert found == Counter(range(5))


@pytest.mark.parametrize(("open_it", "rest"), [(open_source, "&group=g"), (open_sink, "")])
def test_a_redis_of_an_unknown_authority_is_refused(
    tls_redis: TlsRedis, other: Certificate, open_it: Any, rest: str
) -> None:
    for more in ("", f"&ssl_ca_certs={other.path}"):
        said = line_of(tls_redis.address("s", rest + more), open_it)
        assert said.startswith("cannot reach rediss://@localhost:")
        assert "certificate verify failed" in said


def test_a_redis_without_tls_that_is_asked_for_it(redis_server: RedisServer) -> None:
    port = free_port()
    redis_server.client.config_set("port", port)
    said = line_of(f"rediss://localhost:{port}/0?stream=s&group=g&socket_connect_timeout=1")
    assert said.startswith(f"cannot reach rediss://localhost:{port}/0?stream=s&group=g: ")
    assert "handshake operation timed out" in said  # it waits for the end of a line


def test_a_redis_with_tls_that_is_asked_without(tls_redis: TlsRedis) -> None:
    said = line_of(tls_redis.address("s", "&group=g", scheme="redis"))
    assert said.startswith("cannot reach redis://@localhost:")
    assert "Connection" in said


def test_a_redis_that_comes_back_with_another_certificate_is_waited_for(
    tls_redis: TlsRedis, right: Certificate, other: Certificate
) -> None:
    server, seen = tls_redis.server, Counter[int]()
    server.put("back", range(200))

    def sink(result: int, item: int) -> None:
        seen[item] += 1
        if seen.total() == 50:
            for certificate in (other, right):
                tls_redis.show(certificate)
                server.stop()
                server.start()
                time.sleep(0.5)  # so long it is there, and is not the one that it was

    pa.run(nap, tls_redis.address("back") + f"&ssl_ca_certs={right.path}", sink, workers=2)
    assert set(seen) == set(range(200))
    assert server.pending("back") == []


# PostgreSQL


def tls_postgres_with(certificate: Certificate) -> PostgresServer:
    files = {"key.pem": certificate.key.read_text(), "cert.pem": certificate.path.read_text()}
    only_tls = "hostssl all all all scram-sha-256\nhost all postgres all scram-sha-256\n"
    where = ("ssl_key_file={folder}/key.pem", "ssl_cert_file={folder}/cert.pem", "hba_file={folder}/hba")
    return PostgresServer("ssl=on", *where, files=files | {"hba": only_tls})


@pytest.fixture(scope="module")
def tls_postgres(right: Certificate) -> Iterator[PostgresServer]:
    with closing(tls_postgres_with(right)) as server:
        server.execute("CREATE ROLE guest LOGIN SUPERUSER PASSWORD 'secret'")
        yield server


def named(server: PostgresServer, queue: str, **options: Any) -> str:
    """Return the address by the name that is in the certificate."""
    return server.address(queue, host="localhost", hostaddr="127.0.0.1", **options)


def test_postgres_over_tls(tls_postgres: PostgresServer, right: Certificate) -> None:
    name = tls_postgres.new_queue()
    tls_postgres.put(name, range(5))
    address = named(tls_postgres, name, sslmode="verify-full", sslrootcert=right.path, drain=1)
    with closing(open_source(address)) as source:
        text = (
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
            "WHERE application_name = 'pullahead'"
        )
        assert tls_postgres.execute(text) == [(True,)]
        assert source.take(0) == []
    assert pa.run(nap, address, workers=1).done == 5
    assert tls_postgres.rows(name, "item, state, result") == [(x, "done", x) for x in range(5)]


def test_a_postgres_of_an_unknown_authority_is_refused(
    tls_postgres: PostgresServer, other: Certificate
) -> None:
    said = line_of(named(tls_postgres, "a", sslmode="verify-full", sslrootcert=other.path))
    assert said.startswith("cannot reach postgresql://postgres@127.0.0.1:")
    assert "certificate verify failed" in said


def test_a_postgres_of_another_name_is_refused(tls_postgres: PostgresServer, right: Certificate) -> None:
    said = line_of(tls_postgres.address("a", sslmode="verify-full", sslrootcert=right.path))
    assert 'does not match host name "127.0.0.1"' in said


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_a_postgres_without_tls_that_is_asked_for_it(
    postgres: PostgresServer, right: Certificate, mode: str
) -> None:
    said = line_of(named(postgres, "a", sslmode=mode, sslrootcert=right.path))
    assert said.startswith("cannot reach postgresql://postgres@127.0.0.1:")
    assert "server does not support SSL, but SSL was required" in said


def test_a_postgres_that_wants_tls_and_is_asked_without(tls_postgres: PostgresServer) -> None:
    said = line_of(tls_postgres.address("a", user="guest", password="secret", sslmode="disable"))
    assert 'refuses us: no pg_hba.conf entry for host "127.0.0.1", user "guest"' in said


def test_a_postgres_that_comes_back_with_another_certificate_is_waited_for(
    right: Certificate, other: Certificate
) -> None:
    seen = Counter[int]()
    with closing(tls_postgres_with(right)) as server:
        server.put("jobs", range(200))
        server.log_results()

        def sink(result: int, item: int) -> None:
            seen[item] += 1
            if seen.total() == 50:
                for certificate in (other, right):
                    server.write("key.pem", certificate.key.read_text())
                    server.write("cert.pem", certificate.path.read_text())
                    server.stop()
                    server.start()
                    time.sleep(0.5)  # so long it is there, and is not the one that it was

        pa.run(
            nap,
            named(server, "jobs", sslmode="verify-full", sslrootcert=right.path, drain=1),
            sink,
            workers=2,
        )
        assert server.written() == Counter(range(200))
        assert server.rows("jobs", "item, state, result") == [(x, "done", x) for x in range(200)]
