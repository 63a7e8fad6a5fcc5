"""Causes that hold the arm."""

from dvla_ros.nodes.holds import Hold, Holds


def test_the_first_cause_that_is_still_there_counts():
    holds = Holds()
    holds.set(Hold("rival", "another node", quiet=True))
    holds.set(Hold("clock_jump", "ten seconds"))
    assert holds.first.reason == "rival" and holds.quiet
    holds.clear("rival")
    assert holds.first.reason == "clock_jump" and not holds.quiet
    holds.clear("clock_jump")
    assert holds.first is None


def test_a_cause_that_is_set_again_keeps_its_place_and_changes_its_words():
    holds = Holds()
    holds.put(Hold("rival", "one node"), True)
    holds.put(Hold("requested", "asked"), True)
    holds.put(Hold("rival", "two nodes"), True)
    assert holds.first.detail == "two nodes"
    holds.put(Hold("rival", "nobody"), False)
    assert holds.first.reason == "requested"
