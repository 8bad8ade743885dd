"""The engines that the main job is tested on."""

from __future__ import annotations

from tests.engines import differs, engine

__all__ = ["differs", "engine"]
