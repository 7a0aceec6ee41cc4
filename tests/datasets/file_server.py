"""A server of files on this machine that can be told to misbehave."""

import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """Files by path, and what goes wrong with them."""

    files: dict = field(default_factory=dict)
    cut_after: dict = field(default_factory=dict)  # bytes of each answer
    busy: dict = field(default_factory=dict)  # so many answers are 429
    moved: dict = field(default_factory=dict)  # path that another one leads to
    without_ranges: bool = False
    without_head: bool = False
    requests: Counter = field(default_factory=Counter)
    sent: Counter = field(default_factory=Counter)
    url: str = ""

    def answer(self, handler, with_body):
        path, content = handler.path, self.files.get(handler.path)
        self.requests[handler.command, path] += 1
        if path in self.moved:
            handler.send_response(302)
            handler.send_header("Location", self.moved[path])
            handler.send_header("Content-Length", "0")
            return handler.end_headers()
        if content is None:
            return handler.send_error(404)
        if self.without_head and not with_body:
            return handler.send_error(405)
        if with_body and self.busy.get(path, 0) > 0:
            self.busy[path] -= 1
            handler.send_response(429)
            handler.send_header("Retry-After", "0")
            handler.send_header("Content-Length", "0")
            return handler.end_headers()
        return self._send(handler, path, content, with_body)

    def _send(self, handler, path, content, with_body):
        begin = re.match(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        if begin and not self.without_ranges:
            if int(begin[1]) >= len(content):
                return handler.send_error(416)
            content = content[int(begin[1]) :]
            handler.send_response(206)
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if with_body:
            content = content[: self.cut_after.get(path, len(content))]
            handler.wfile.write(content)
            self.sent[path] += len(content)
        handler.close_connection = True
        return None

    def __enter__(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self, with_body=True)

            def do_HEAD(self):
                server.answer(self, with_body=False)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
