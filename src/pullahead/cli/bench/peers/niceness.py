"""Ray's actors on the level of this process.

By itself Ray makes its workers nicer by 15: they give way to whatever else wants a core. On a machine that
has anything else to do, and be it the caller, what is measured then is the others.
"""

from __future__ import annotations

import os


def level() -> None:
    """Let actors of a Ray that is started later be as nice as we are, unless the user says otherwise."""
    os.environ.setdefault("RAY_worker_niceness", "0")
