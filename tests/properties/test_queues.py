"""Several queues that help each other out: nothing is lost, nothing is there twice, nobody idles for long."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.pair import Shape
from tests.properties.several import Queues, Scene, shapes

from pullahead.core.ledger import State

MS = 1e-3

scenes = st.builds(
    Scene,
    queues=st.integers(2, 3),
    workers=st.integers(3, 6),
    shape=st.sampled_from(shapes()).map(lambda shape: Shape(**shape)),
    items=st.integers(1, 40),
    pieces=st.sampled_from((1, 1, 2, 7)),
    apart=st.sampled_from((0.0, 2 * MS, 30 * MS)),
    small=st.sampled_from((0.2 * MS, 3 * MS, 30 * MS)),
    large=st.sampled_from((3 * MS, 1.0)),
    p_large=st.sampled_from((0.0, 0.1, 0.5)),
    wire=st.sampled_from((0.05 * MS, 0.5 * MS, 5 * MS)),
    failures=st.sampled_from((0.0, 0.0, 0.2)),
    lopsided=st.booleans(),
    late=st.sampled_from((0.0, 0.0, 0.2)),
    deaths=st.lists(st.floats(0.0, 0.5), max_size=3).map(tuple),
    cancelled=st.one_of(st.none(), st.none(), st.floats(0.0, 0.3)),
    seed=st.integers(0, 2**20),
)


@given(scene=scenes)
@settings(deadline=None, max_examples=150)
def test_every_item_ends_once_and_nobody_idles_beside_it(scene: Scene) -> None:
    Queues(scene).play()


def test_all_that_one_queue_has_is_computed_by_the_workers_of_all() -> None:
    """12 items of 1 s, all submitted to one of three queues with two workers each."""
    world = Queues(Scene(queues=3, workers=6, items=12, small=1.0, large=1.0, lopsided=True))
    world.play()
    assert world.ended_at < 2.03, "two rounds"
    assert sum(queue.ledger.statistics().away for queue in world.queues) >= 8


def test_what_a_queue_has_whose_workers_never_come_is_computed_by_others() -> None:
    world = Queues(Scene(items=40, late=50.0))
    world.play()
    assert world.ended_at < 0.3, "two workers, 40 items of 10 ms"


def test_what_waits_behind_long_items_of_one_queue_is_recalled_for_another_one() -> None:
    """Workers of the first queue hold five items each before anybody knows that an item takes 1 s."""
    shape = Shape(lookahead=5, gives_back=False)
    world = Queues(Scene(shape=shape, items=10, small=1.0, large=1.0, lopsided=True))
    world.play()
    assert world.ended_at < 3.05, "three rounds of four"
    assert world.queues[0].ledger.statistics().recalls > 0


def test_a_run_that_is_cancelled_leaves_what_is_on_its_way_between_queues() -> None:
    left = 0
    for moment in range(1, 40):
        scene = Scene(items=30, small=20 * MS, large=20 * MS, lopsided=True, cancelled=moment * 0.25 * MS)
        world = Queues(scene)
        world.play()
        left += sum(state is State.LEFT for _, state in world.ends)
    assert left > 500


def test_the_scenes_have_all_that_may_happen() -> None:
    """A check that never meets what it is about would pass, too."""
    away = recalls = dead = done = 0
    for seed in range(40):
        scene = Scene(
            queues=2 + seed % 2,
            workers=5,
            items=30,
            small=3 * MS,
            large=1.0,
            p_large=0.1,
            failures=0.3 * (seed % 3 == 0),
            deaths=(0.01, 0.2),
            seed=seed,
        )
        world = Queues(scene)
        world.play()
        statistics = [queue.ledger.statistics() for queue in world.queues]
        away += sum(one.away for one in statistics)
        recalls += sum(one.recalls for one in statistics)
        dead += sum(one.dead for one in statistics)
        done += sum(one.done for one in statistics)
    assert min(away, recalls) > 40
    assert dead > 10
    assert done > 900
