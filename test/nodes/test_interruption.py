"""Ctrl-C reaches the program at a place that it chose."""

import os
import signal

import pytest

from dvla_ros.nodes.interruption import Interruption


class Finalised:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass


def test_ctrl_c_waits_for_the_next_check():
    done = []
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        interruption.check()
        signal.raise_signal(signal.SIGINT)
        done.append("what was begun")
        interruption.check()
        done.append("what comes next")
    assert done == ["what was begun"]


def test_ctrl_c_in_a_finaliser_is_not_lost():
    with pytest.raises(KeyboardInterrupt), Interruption():
        dropped = Finalised()
        del dropped


def test_ctrl_c_after_the_last_check_interrupts_at_the_end():
    with pytest.raises(KeyboardInterrupt), Interruption():
        signal.raise_signal(signal.SIGINT)


def test_what_fails_because_of_it_is_an_interruption():
    with pytest.raises(KeyboardInterrupt) as caught, Interruption():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("a node ended")
    assert isinstance(caught.value.__context__, ValueError)


def test_other_errors_pass():
    with pytest.raises(ValueError, match="its own"), Interruption():
        raise ValueError("its own")


def test_the_handler_before_comes_back():
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
