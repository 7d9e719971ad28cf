"""Samples are summed by function and by package, without those of threads that wait."""

from benchkit import stacks

RAW = """\
main (syncer/__main__.py:16);run (asyncio/runners.py:160);EpollSelector.select (selectors.py:451) 50
_bootstrap (threading.py:981);_worker (concurrent/futures/thread.py:69) 100
main (syncer/__main__.py:16);run (asyncio/runners.py:160);plan (syncer/core/pods/plan.py:3) 6
main (syncer/__main__.py:16);run (asyncio/runners.py:160);write (ssl.py:9) 3
main (syncer/__main__.py:16);run (asyncio/runners.py:160) 1
"""


def test_threads_that_wait_are_told_apart() -> None:
    found, waited = stacks.parse(RAW)
    assert (sum(found.values()), waited) == (10, 150)


def test_own_time_is_that_of_the_innermost_function() -> None:
    found, _ = stacks.parse(RAW)
    assert stacks.own(found, 2) == [("plan (syncer/core/pods/plan.py)", 6), ("write (ssl.py)", 3)]
    assert stacks.packages(found) == [("syncer.core", 6), ("ssl (standard library)", 3), ("asyncio", 1)]


def test_a_tree_leaves_out_what_was_hardly_seen_and_its_boxes_lie_within_their_callers() -> None:
    found, _ = stacks.parse(RAW)
    tree = stacks.tree(found, 2)
    assert stacks.depth(tree) == 3
    assert list(stacks.flattened(tree)) == [
        ("main (syncer/__main__.py)", 0, 0, 10),
        ("run (asyncio/runners.py)", 1, 0, 10),
        ("plan (syncer/core/pods/plan.py)", 2, 0, 6),
        ("write (ssl.py)", 2, 6, 3),
    ]
