"""A sink whose process dies at an exact moment of writing."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from pullahead.sources import JsonlSink


class SabotagedSink(JsonlSink):  # type: ignore[misc]  # final, and a test may
    """Goes on where a journal says that the file was.

    Args:
        path: of the file.
        moment: "written N": N lines are written; "half N": and half of the next one; "checkpoint N": its
            size is about to be told for the Nth time; "saved N": it was told, and that is not recorded;
            "close N": it is about to be closed. "" is none.
    """

    def __init__(self, path: Path, moment: str) -> None:
        super().__init__(path, "continue")
        self._moment, _, nth = moment.partition(" ")
        self._left = int(nth or 0)
        self._half = path if self._moment == "half" else None

    def __call__(self, result: Any, item: Any) -> None:
        super().__call__(result, item)
        self._at("written")
        self._at("half")

    def checkpoint(self) -> int | None:
        self._at("checkpoint")
        size = super().checkpoint()
        self._at("saved")
        return size

    def close(self) -> None:
        self._at("close")
        super().close()

    def _at(self, moment: str) -> None:
        if moment != self._moment:
            return
        self._left -= 1
        if self._left == 0:
            if self._half is not None:
                with self._half.open("ab") as stream:
                    stream.write(b'{"item": 30, "res')
            os.kill(os.getpid(), signal.SIGKILL)
