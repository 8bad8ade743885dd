"""The trace: what is written is handed over once, and nothing is written when recording is off."""

from __future__ import annotations

import pytest

from pullahead.core import trace
from pullahead.core.trace import Recorder, Span


def test_spans_are_handed_over_once_and_in_the_order_they_were_written() -> None:
    recorder = Recorder()
    recorder.add(trace.FETCH, 0.0, 1.0, 7, 3)
    recorder.add(trace.STALL, 0.0, 1.0, detail=trace.CAUSE_FETCH)
    assert len(recorder) == 2
    assert recorder.take() == [
        Span("fetch", 0.0, 1.0, 7, 3, ""),
        Span("stall", 0.0, 1.0, -1, 1, "fetch"),
    ]
    assert (len(recorder), recorder.take()) == (0, [])


def test_what_was_taken_does_not_grow() -> None:
    recorder = Recorder()
    recorder.add(trace.PROCESS, 0.0, 1.0, 0)
    taken = recorder.take()
    recorder.add(trace.PROCESS, 1.0, 2.0, 1)
    assert taken == [Span("process", 0.0, 1.0, 0)]


def test_nothing_is_written_when_recording_is_off() -> None:
    recorder = Recorder(on=False)
    recorder.add(trace.PROCESS, 0.0, 1.0, 0)
    assert recorder.take() == []


def test_communication_is_what_is_neither_compute_nor_waiting() -> None:
    kinds = {value for name, value in vars(trace).items() if name.isupper() and isinstance(value, str)}
    causes = {value for name, value in vars(trace).items() if name.startswith("CAUSE_")}
    assert kinds - causes - trace.COMMUNICATION == {"ask", "process", "stall", "lookahead"}


def test_causes_are_listed_once_each() -> None:
    named = {value for name, value in vars(trace).items() if name.startswith("CAUSE_")}
    assert sorted(trace.CAUSES) == sorted(named)


@pytest.mark.parametrize("field", ["kind", "start", "end", "item", "size", "detail"])
def test_a_span_has_no_field_that_hides_a_method_of_tuples(field: str) -> None:
    assert not hasattr(tuple, field)
