"""Certificates for tests: of an authority of their own, which nobody else trusts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.sources.servers import missing


class Certificate:
    """One for `localhost` that signs for itself, so that it is its own authority.

    Args:
        folder: where its files go.
        name: of its files.
    """

    def __init__(self, folder: Path, name: str) -> None:
        if shutil.which("openssl") is None:
            missing("openssl")
        self.key, self.path = folder / f"{name}-key.pem", folder / f"{name}.pem"
        names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
        made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names)
        subprocess.run([*made, "-keyout", self.key, "-out", self.path], check=True, capture_output=True)
