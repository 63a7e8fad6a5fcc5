"""Who may use the page: a secret where the network can reach it, and no other web site in any case."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

COOKIE = "dvla_operator"
_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_JSON = "application/json"


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered: status of HTTP, and the sentence for whoever asked."""

    status: int
    message: str


@dataclass(frozen=True)
class Asked:
    """What of a request decides about access; names of headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    cookies: Mapping[str, str]


@dataclass(frozen=True)
class Access:
    """The rules.

    Attributes:
        token: What a request must bring; empty: nothing, and only requests to this machine's own names are answered.
    """

    token: str

    def fits(self, token: str) -> bool:
        """Whether a token is the right one; takes as long for a wrong one."""
        return hmac.compare_digest(token.encode(errors="replace"), self.token.encode())

    def refusal(self, asked: Asked) -> Refusal | None:
        """Why a request is refused; None: it is not."""
        return self._stranger(asked) or _other_site(asked) or _no_command(asked)

    def _stranger(self, asked: Asked) -> Refusal | None:
        if self.token:
            if self.fits(asked.cookies.get(COOKIE, "")):
                return None
            return Refusal(401, "Open the link with the token that operator_node has printed where it was started.")
        # A web site may have its own name lead to this machine; the browser then sends that name.
        if host_name(asked.headers.get("host", "")) in _LOCAL_NAMES:
            return None
        return Refusal(403, "Without a token this page answers to http://localhost only.")


def host_name(netloc: str) -> str:
    """The name in `name:port`; empty where there is none."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def _other_site(asked: Asked) -> Refusal | None:
    """Browsers say where a request comes from; another web site may lead here, but not ask or command."""
    site = asked.headers.get("sec-fetch-site", "same-origin")
    led_here = asked.method == "GET" and asked.path == "/" and asked.headers.get("sec-fetch-mode") == "navigate"
    if site not in ("same-origin", "none") and not led_here:
        return Refusal(403, "Another web site may not use this page.")
    origin = asked.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != asked.headers.get("host", ""):
        return Refusal(403, f"A request from {origin[:100]} may not command this robot.")
    return None


def _no_command(asked: Asked) -> Refusal | None:
    """A form of another web site cannot send JSON without asking first, which is never allowed."""
    if asked.method != "POST":
        return None
    kind = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
    return None if kind == _JSON else Refusal(415, f"Commands are POST requests of type {_JSON}.")
