"""A ROS domain of one's own, so that nothing on the network is commanded or listened to by mistake."""

import os
import socket

_DOMAINS = range(1, 102)
"""Domains whose ports lie below those that Linux gives to anybody."""


def isolate() -> int:
    """Put this process and those it starts into an unused ROS domain that does not leave this machine; its number.

    Must be called before ROS is initialised.
    """
    domain = _unused_domain()
    os.environ["ROS_DOMAIN_ID"] = str(domain)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.pop("ROS_LOCALHOST_ONLY", None)  # the older name of the same setting would override it
    return domain


def _unused_domain() -> int:
    """The first domain without a participant, from one that depends on the process; that one if all have some."""
    offset = os.getpid() % len(_DOMAINS)
    candidates = [*_DOMAINS[offset:], *_DOMAINS[:offset]]
    return next((domain for domain in candidates if _is_unused(domain)), candidates[0])


def _is_unused(domain: int) -> bool:
    """Whether the discovery port of the domain's first participant is free (DDSI-RTPS 2.2, section 9.6.1.1)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", 7400 + 250 * domain + 10))
        except OSError:
            return False
    return True
