"""A caller outside the cluster. `python -m tests.cluster.client ADDRESS` prints what it saw."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

import pullahead as pa


def sometimes(item: int) -> Any:
    """Fail for one item, die of another one."""
    if item == 3:
        raise KeyError(item)
    if item == 5:
        os._exit(3)
    return item


if __name__ == "__main__":
    pa.init("ray", address=sys.argv[1], logging_level=logging.ERROR)
    everything = list(pa.map(sometimes, range(40), workers=1, on_error="collect"))
    failures = {one.item: type(one.error).__name__ for one in everything if isinstance(one, pa.Failure)}
    done = [one for one in everything if not isinstance(one, pa.Failure)]
    try:
        pa.map(sometimes, range(3), journal="run.db")
    except ValueError as error:
        refused = str(error)
    seen = {"done": done, "failures": failures, "put": pa.get(pa.put("x")), "journal": refused}
    print("SEEN", json.dumps(seen))
    pa.shutdown()
