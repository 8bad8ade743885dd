"""The engines that the suite runs on."""

from __future__ import annotations

from tests.engines import differs, engine

__all__ = ["differs", "engine"]
