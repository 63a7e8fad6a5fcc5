"""Stands before the pages: access, headers for the browser, and an end to every request."""

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dvla_ros.nodes.operator.access import COOKIE, Access, Asked, Refusal

REQUEST_S = 10.0
"""A request that is not answered, or whose answer is not taken, within this time is dropped."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """Lets through what `Access` allows.

    Args:
        app: What is guarded.
        access: The rules.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            return
        request = Request(scope)
        answer = self._entrance(request) or self._refused(request) or self._app

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await asyncio.wait_for(answer(scope, receive, send_with_headers), REQUEST_S)

    def _entrance(self, request: Request) -> Response | None:
        """The link with the token leads to the page, with the token in a cookie from then on."""
        token = request.query_params.get("token")
        if request.method != "GET" or request.url.path != "/" or token is None or not self._access.token:
            return None
        if not self._access.fits(token):
            return PlainTextResponse("This token is not the one of the running operator_node.", 401)
        entrance = RedirectResponse("/", 303)
        # Lax: the link may stand in a mail or behind a QR code. Commands need more than the cookie, see Access.
        entrance.set_cookie(COOKIE, self._access.token, httponly=True, samesite="lax")
        return entrance

    def _refused(self, request: Request) -> Response | None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        refusal = self._access.refusal(Asked(request.method, request.url.path, headers, request.cookies))
        return None if refusal is None else _response(request, refusal)


def _response(request: Request, refusal: Refusal) -> Response:
    if request.url.path.startswith("/api/"):
        return JSONResponse({"ok": False, "message": refusal.message}, refusal.status)
    return PlainTextResponse(refusal.message, refusal.status)
