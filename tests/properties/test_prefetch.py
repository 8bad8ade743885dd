"""Whatever is asked, answered and popped in whatever order: every item is handed out or given back."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from pullahead.core.prefetch import Answer, Prefetch, Request

KINDS = st.sampled_from([Answer.ITEM, Answer.ITEM, Answer.ITEM, Answer.ERROR, Answer.END])


@settings(deadline=None)  # a busy machine is no failure
@given(st.data())
def test_every_item_is_handed_out_or_given_back(data: st.DataObject) -> None:
    prefetch, under_way = Prefetch(), list[Request]()
    fetched: Counter[int] = Counter()
    yielded: list[int] = []
    back: list[int] = []
    closed_at = data.draw(st.integers(0, 40))
    for step in range(60):
        if step == closed_at:
            back += prefetch.close()
            assert (len(prefetch), prefetch.over) == (len(under_way), True)
        move = data.draw(st.sampled_from(["ask", "ask", "answer", "answer", "pop"]))
        prefetch.target = 4
        assert prefetch.ready == (prefetch.head is not None or prefetch.over)
        if move == "ask" and prefetch.wants:
            assert not prefetch.ended
            assert not prefetch.closed
            under_way.append(prefetch.ask(0.0))
            assert len(prefetch) <= 4
        elif move == "answer" and under_way:
            request = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            kind = data.draw(KINDS)
            fetched[request.number] += kind is Answer.ITEM
            back += prefetch.answered(request, kind, request.number)
        elif move == "pop" and (head := prefetch.head) is not None:
            prefetch.pop()
            if head.answer is Answer.ITEM:
                yielded.append(head.value)
    for request in under_way:
        fetched[request.number] += 1
        back += prefetch.answered(request, Answer.ITEM, request.number)
    assert len(prefetch) == 0
    assert yielded == sorted(yielded)
    assert Counter(yielded + back) == +fetched
