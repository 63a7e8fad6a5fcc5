"""Whether a person permits motion."""

from dvla_ros.nodes.permission import Permission


def test_without_a_switch_motion_is_permitted_until_it_is_released():
    permission = Permission(switch_needed=False, timeout_s=0.5)
    assert permission.refusal(100.0) == ""
    permission.released = True
    assert "~/release" in permission.refusal(100.0)


def test_a_switch_must_be_held():
    permission = Permission(switch_needed=True, timeout_s=0.5)
    assert "not been heard of" in permission.refusal(0.0)
    permission.switch(True, 1.0)
    assert permission.refusal(1.4) == ""
    permission.switch(False, 1.45)
    assert permission.refusal(1.46) == "The switch is not held."


def test_a_switch_that_falls_silent_counts_as_let_go():
    permission = Permission(switch_needed=True, timeout_s=0.5)
    permission.switch(True, 1.0)
    assert "for 0.5 s" in permission.refusal(1.6)
