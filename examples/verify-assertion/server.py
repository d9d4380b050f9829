"""An upstream that serves nobody but Keyward: ASSERTION_SECRET=… API_ID=api_… PORT=8080 python3 server.py"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from verify import NotAsserted, verify_assertion


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        # A header that came twice is no assertion.
        assertion = ", ".join(self.headers.get_all("X-Keyward-Assertion", []))
        secret, api = os.environ["ASSERTION_SECRET"], os.environ["API_ID"]
        try:
            body = verify_assertion(assertion, secret=secret, api=api, method=self.command, target=self.path)
            status = 200
        except NotAsserted as error:
            body, status = {"error": str(error)}, 401
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Upstream).serve_forever()
