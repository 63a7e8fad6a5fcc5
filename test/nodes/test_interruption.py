"""Ctrl-C reaches the program even if Python drops the exception."""

import os
import signal

import pytest

from dvla_ros.nodes.interruption import Interruption


class Finalised:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass


def test_ctrl_c_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt), Interruption():
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_in_a_finaliser_interrupts_at_the_next_check():
    with Interruption() as interruption:
        interruption.check()
        dropped = Finalised()
        del dropped
        with pytest.raises(KeyboardInterrupt):
            interruption.check()


def test_the_handler_before_comes_back():
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
