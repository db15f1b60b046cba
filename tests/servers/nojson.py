"""A web server that knows nothing of the protocol: pages of HTML, 200 where there is one, 404 elsewhere."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.servers import launch

PAGES = {"/": "Welcome", "/about": "About us", "/contact": "Write to us"}
PROFILE = """\
[target]
url = "{url}"
environment = "test"
"""


class Handler(BaseHTTPRequestHandler):
    """The same page for every verb."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    wbufsize = -1

    def page(self) -> None:
        """Send a page."""
        length = self.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) < 3_000_000:
            self.rfile.read(int(length))
        else:
            self.close_connection = True
        title = PAGES.get(self.path.split("?")[0])
        body = f"<!doctype html>\n<html><title>{title or 'Not here'}</title></html>\n".encode()
        self.send_response(200 if title else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = page  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until a signal ends it."""
    arguments = launch.options("A web server without the protocol.").parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    server.daemon_threads = True
    url = f"http://127.0.0.1:{server.server_port}/"
    profile = launch.folder(arguments.dir) / "conform.toml"
    profile.write_text(PROFILE.format(url=url), encoding="utf-8")
    launch.end_with(server.shutdown, parent=arguments.exit_with_parent)
    launch.ready(url, profile, None)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
