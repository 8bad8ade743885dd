"""Where items come from and where results go.

Sources: any iterable, `paths` (files), `lines` (text), `jsonl` (JSON values), and live queues: `MemoryQueue`
in this process, and by their addresses those of `pullahead.sources.redis` and `.postgresql`. Sinks: any
callable `(result, item)`, `JsonlSink`, and addresses again. The seam that both sides of a run agree on is
`Source`.
"""

from __future__ import annotations

from pullahead.sources.addresses import is_address, open_sink, open_source
from pullahead.sources.files import JsonLines, Lines, jsonl, lines, paths
from pullahead.sources.iterable import IterableSource, as_source, total_hint
from pullahead.sources.jsonl_sink import JsonlSink
from pullahead.sources.memory import MemoryQueue
from pullahead.sources.sink import FailedItem, RecordSink, ResumableSink, Sink, as_sink, is_failure, resumable
from pullahead.sources.source import Capabilities, KeepsResults, Neighbourly, Source, Taken

__all__ = [
    "Capabilities",
    "FailedItem",
    "IterableSource",
    "JsonLines",
    "JsonlSink",
    "KeepsResults",
    "Lines",
    "MemoryQueue",
    "Neighbourly",
    "RecordSink",
    "ResumableSink",
    "Sink",
    "Source",
    "Taken",
    "as_sink",
    "as_source",
    "is_address",
    "is_failure",
    "jsonl",
    "lines",
    "open_sink",
    "open_source",
    "paths",
    "resumable",
    "total_hint",
]
