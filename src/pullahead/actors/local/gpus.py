"""Devices, given out by the fork server. A process sees only its own, through CUDA_VISIBLE_DEVICES."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

__all__ = ["Grant", "NotEnoughDevices", "Pool", "visible_devices"]

_WHOLE = 1_000_000  # shares are counted in millionths, so that three thirds make one


class NotEnoughDevices(Exception):  # noqa: N818  it ends up as the text of an ActorDiedError
    """More devices were asked for than are free."""


@final
@dataclass(frozen=True, slots=True)
class Grant:
    """Devices that a process has, and the share of each."""

    devices: tuple[str, ...]
    share: int

    def environment(self) -> dict[str, str]:
        """Return the variables that show a process its devices, and no others."""
        return {"CUDA_VISIBLE_DEVICES": ",".join(self.devices)}


@final
class Pool:
    """The devices of this machine and what is left of each."""

    def __init__(self, devices: Sequence[str]) -> None:
        self._free = dict.fromkeys(devices, _WHOLE)

    def take(self, amount: float) -> Grant:
        """Take whole devices, or a share of one.

        Raises:
            NotEnoughDevices: if that is not free.
        """
        count, share = (int(amount), _WHOLE) if amount >= 1 else (1, round(amount * _WHOLE))
        if share == 0:
            return Grant((), 0)
        # The fullest device that still fits: shares gather on few devices, and whole ones stay whole.
        fitting = sorted((d for d, free in self._free.items() if free >= share), key=lambda d: self._free[d])
        if len(fitting) < count:
            free = sum(self._free.values()) / _WHOLE
            raise NotEnoughDevices(f"num_gpus={amount:g}, and {free:g} of {len(self._free)} devices are free")
        grant = Grant(tuple(fitting[:count]), share)
        for device in grant.devices:
            self._free[device] -= share
        return grant

    def give_back(self, grant: Grant) -> None:
        """Return what a process had."""
        for device in grant.devices:
            self._free[device] += grant.share


def visible_devices() -> list[str]:
    """Return the ids of the devices that this program may use."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [device.strip() for device in chosen.split(",") if device.strip() not in ("", "-1")]
    found = [re.fullmatch(r"nvidia(\d+)", path.name) for path in Path("/dev").glob("nvidia[0-9]*")]
    return sorted((match[1] for match in found if match), key=int)
