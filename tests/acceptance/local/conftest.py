"""What is the local engine's alone."""

from __future__ import annotations

from tests.engines import local_engine as engine

__all__ = ["engine"]
