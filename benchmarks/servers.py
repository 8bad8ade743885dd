"""Servers that are started for a while: each with a folder of its own, and gone with who has started it.

For benchmarks and tests. What they keep is on disk, so it is there when they are started again.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Final

#: Seconds until a server answers, or has ended.
_PATIENCE: Final = 30.0
#: Whom Debian's package makes.
_SOMEBODY: Final = "postgres"


def free_port() -> int:
    """Return a port that nobody has just now; a cluster's node wants the one that is 10,000 above it, too."""
    for _ in range(100):
        with socket.socket() as found, socket.socket() as bus:
            found.bind(("127.0.0.1", 0))
            port = int(found.getsockname()[1])
            try:
                bus.bind(("127.0.0.1", port + 10_000))
            except (OSError, OverflowError):
                continue
            return port
    raise AssertionError("no two ports are free")


def redis_program() -> str | None:
    """Return where redis-server is, if it is anywhere."""
    return shutil.which("redis-server")


def postgres_programs() -> Path | None:
    """Return the folder of initdb and postgres, of the newest if there are several."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    return max(found, key=_version, default=None)


def _version(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdecimal() else 0


class Server:
    """A process that is there once it answers. Started on the main thread: it dies with who started it."""

    #: What ends it at once, with all that it has started.
    _at_once: ClassVar[signal.Signals]

    def __init__(self, name: str) -> None:
        # Not where tests have their files: the path of a socket has a hundred characters at most.
        self.folder = Path(tempfile.mkdtemp(prefix=f"pullahead-{name}-"))
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    def _launch(self, command: list[str], answers: Callable[[], bool]) -> None:
        log = self.folder / "log"
        with log.open("ab") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file, cwd=self.folder)
        deadline = time.monotonic() + _PATIENCE
        while not answers():
            said = log.read_text(errors="replace")
            assert time.monotonic() < deadline, f"{self._name} does not answer: {said}"
            assert self._process.poll() is None, f"{self._name} has ended: {said}"
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait for that."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_PATIENCE)
            self._process = None

    def close(self) -> None:
        """End it and leave nothing."""
        self.stop(self._at_once)
        shutil.rmtree(self.folder)


class Redis(Server):
    """A Redis that keeps what it has: on a socket file, and on a port if the options say so.

    Args:
        program: where redis-server is.
        options: more of them, for its command line; the last word about something counts.
    """

    _at_once = signal.SIGKILL  # it inherits deafness to SIGQUIT, which a shell's background jobs have

    def __init__(self, program: str, *options: str) -> None:
        super().__init__("redis")
        self.socket = self.folder / "redis.sock"
        self._command = [program, "--port", "0", "--dir", str(self.folder), "--unixsocket", str(self.socket)]
        self._command += ["--appendonly", "yes", "--save", "", *options]
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._launch([*dies_with_us(), *self._command], self._answers)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as found, suppress(OSError):
            found.settimeout(_PATIENCE)
            found.connect(str(self.socket))
            found.sendall(b"PING\r\n")
            return found.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        return False


class Postgres(Server):
    """A PostgreSQL on a port of this machine. The user is postgres, the password "right".

    Args:
        programs: the folder of initdb and postgres.
        settings: "name=value", as its configuration has them.
    """

    _at_once = signal.SIGQUIT

    def __init__(self, programs: Path, *settings: str) -> None:
        super().__init__("postgres")
        self.port = free_port()
        self._programs = programs
        self._settings = settings
        try:
            self._make()
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Where it is, for libpq."""
        return f"postgresql://postgres:right@127.0.0.1:{self.port}/postgres"

    def _make(self) -> None:
        password = self.folder / "password"
        password.write_text("right\n")
        for path in (self.folder, password):
            give(path)
        words = ["-A", "scram-sha-256", "--pwfile", str(password), "-U", "postgres", "-E", "UTF8"]
        made = [str(self._programs / "initdb"), "-D", str(self._data), "--no-sync", "--locale=C.UTF-8"]
        command = [*as_somebody(), *made, *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        where = ["-D", str(self._data), "-k", str(self.folder), "-p", str(self.port), "-h", "127.0.0.1"]
        settings = [word for one in self._settings for word in ("-c", one)]
        # The death signal is lost with the change of user, so it is set after it.
        command = [*as_somebody(), *dies_with_us(), str(self._programs / "postgres"), *where, *settings]
        self._launch(command, self._answers)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True


def dies_with_us(how: str = "KILL") -> list[str]:
    """Return what to put before a command: it gets a signal when the thread ends that starts it."""
    return ["setpriv", "--pdeathsig", how] if shutil.which("setpriv") else []


def as_somebody() -> list[str]:
    """Return what to put before a command that is to be PostgreSQL's own: it refuses to be root."""
    if os.getuid() != 0:
        return []
    user = pwd.getpwnam(_SOMEBODY)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def give(path: Path) -> None:
    """Let PostgreSQL have a file or a folder as its own."""
    if os.getuid() == 0:
        user = pwd.getpwnam(_SOMEBODY)
        os.chown(path, user.pw_uid, user.pw_gid)
