"""Widespread stacks, recognized by how they answer, with one line of advice each. They decide nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

__all__ = ["Stack", "stack_of"]


class Stack(NamedTuple):
    """A stack: the headers and bodies by which it is known, and what to do about errors and about missing routes."""

    name: str
    headers: re.Pattern[str]
    body: re.Pattern[str] | None
    errors: str
    routes: str


def _stack(name: str, headers: str, body: str | None, errors: str, routes: str) -> Stack:
    flags = re.IGNORECASE | re.MULTILINE
    return Stack(name, re.compile(headers, flags), re.compile(body, flags) if body else None, errors, routes)


#: Matches no header, for stacks that are known by their bodies alone.
_NEVER = r"(?!)"

#: The first one that matches counts, so what stands in front of others comes last.
STACKS = (
    _stack(
        "Express",
        r"^x-powered-by: express",
        r"<pre>(?:Cannot (?:GET|POST|PUT|PATCH|DELETE) |\w*Error: )",
        "Express: register `app.use((err, req, res, next) => …)` after all routes and send the envelope from it",
        "Express: register `app.use((req, res) => …)` after all routes and send 404 with the envelope from it",
    ),
    _stack(
        "Fastify",
        _NEVER,
        r'^\{"(?:message|statusCode|code|error)":.*"statusCode":\d',
        "Fastify: send the envelope from `setErrorHandler`",
        "Fastify: send the envelope from `setNotFoundHandler`",
    ),
    _stack(
        "FastAPI",
        r"^server: uvicorn",
        r'^\{"detail":',
        "FastAPI: add `exception_handler(RequestValidationError)` and `exception_handler(Exception)` that answer 400 "
        "and 500 with the envelope",
        "FastAPI: add `exception_handler(StarletteHTTPException)`, and `redirect_slashes=False` to the application",
    ),
    _stack(
        "Django",
        _NEVER,
        r"csrfmiddlewaretoken|<title>(?:Page not found|Bad Request|Server Error)[^<]*</title>|DisallowedHost",
        "Django: set `handler400` and `handler500`, or answer from a middleware with `process_exception`",
        "Django: set `handler404`, and `APPEND_SLASH = False`",
    ),
    _stack(
        "Flask",
        r"^server: werkzeug",
        r"<title>\d{3} [A-Z][^<]*</title>\s*<h1>",
        "Flask: add `@app.errorhandler(Exception)` that answers with the envelope; read `request.get_json(force=True)`",
        "Flask: add `@app.errorhandler(404)` and `@app.errorhandler(405)` that answer with the envelope",
    ),
    _stack(
        "Spring",
        _NEVER,
        r'"timestamp":.*"status":\d{3},"error":|Whitelabel Error Page',
        "Spring: add a `@RestControllerAdvice` that answers `HttpMessageNotReadableException` and `Exception` with "
        "the envelope",
        "Spring: replace the `ErrorController`, which answers what has no handler",
    ),
    _stack(
        "Go net/http",
        _NEVER,
        r"^404 page not found$|\A(?-i:Method Not Allowed)\n\Z"
        r"|^json: cannot unmarshal|^invalid character .* looking for",
        "Go: replace `http.Error` by a function that writes the envelope, and recover from panics in a middleware",
        "Go: register a handler for `/` that writes 404 with the envelope; `http.ServeMux` redirects unclean paths",
    ),
    _stack(
        "Koa",
        _NEVER,
        # The whole body, without a line feed: other stacks end such a line.
        r"\A(?-i:Not Found|Internal Server Error|Bad Request|Method Not Allowed)\Z",
        "Koa: wrap `next()` in the first middleware with try and catch, and set the envelope as `ctx.body`",
        "Koa: set 404 and the envelope in the first middleware when `ctx.body` is empty after `next()`",
    ),
    _stack(
        "PHP",
        r"^x-powered-by: php",
        r"<b>(?:Fatal error|Warning|Notice|Parse error)</b>:|^PHP (?:Fatal|Warning)",
        "PHP: set `display_errors = Off`, and send the envelope from `set_exception_handler`",
        "PHP: route every path under the base to one script (`try_files`, `FallbackResource`)",
    ),
    _stack(
        "IIS",
        r"^server: microsoft-iis",
        r"<title>IIS \d|Server Error in '/' Application",
        'IIS: set `<httpErrors existingResponse="PassThrough">`, so that the application\'s own errors come through',
        'IIS: set `<httpErrors existingResponse="PassThrough">` and route every path to the application',
    ),
    _stack(
        "a cloud gateway",
        r"^(?:x-amzn-requestid|x-amz-apigw-id|via: .*google|x-azure-ref|cf-ray)",
        r'^\{"message":"(?:Forbidden|Missing Authentication Token|Internal server error)"\}$',
        "Gateway: override the gateway's default responses for 4xx and 5xx with the envelope",
        "Gateway: add a route for every path under the base that passes to the application",
    ),
    _stack(
        "nginx",
        _NEVER,
        r"<center>(?:nginx|openresty)[^<]*</center>",
        "nginx: set `error_page` for its own errors, and `client_max_body_size`, `large_client_header_buffers`",
        "nginx: pass every path under the base to the application",
    ),
    _stack(
        "Apache",
        _NEVER,
        r"<address>Apache[^<]*</address>|<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2\.0//EN\">",
        "Apache: set `ErrorDocument` for its own errors, and `LimitRequestBody`, `LimitRequestFieldSize`",
        "Apache: pass every path under the base to the application (`FallbackResource`, `ProxyPass`)",
    ),
)


def stack_of(responses: Iterable[Mapping[str, Any] | None]) -> Stack | None:
    """Return the stack that most answers are typical of; None if there is none."""
    counts: dict[int, int] = {}
    for response in responses:
        if response is None:
            continue
        headers = "\n".join(f"{name}: {value}" for name, value in response["headers"].items())
        body = str(response.get("body") or "")[:4000]
        for number, stack in enumerate(STACKS):
            if stack.headers.search(headers) or (stack.body is not None and stack.body.search(body)):
                counts[number] = counts.get(number, 0) + 1
                break
    return STACKS[min(counts, key=lambda number: (-counts[number], number))] if counts else None
