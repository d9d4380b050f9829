"""Tells whether a request came through Keyward: for an upstream in Python, with the standard library alone."""

import base64
import hashlib
import hmac
import json
import time

# Seconds that the clocks of edge and upstream may be apart.
CLOCK_DIFFERENCE = 5


class NotAsserted(Exception):
    """The request did not come through Keyward as it is."""


def verify_assertion(assertion, *, secret, api, method, target, now=None):
    """Gives what is asserted: `sub` is the key's id, `account` and `environment` are the key's.

    Raises NotAsserted when the request did not come through Keyward, or when its assertion was made for another
    request, for another API, or too long ago. `assertion` is the header X-Keyward-Assertion; `secret` is the edge's
    ASSERTION_SECRET; `api` is the id of the API that this upstream serves; `target` is the path, with or without query.
    """
    try:
        head, payload, signature = assertion.encode("ascii").split(b".")
        expected = hmac.new(secret.encode(), head + b"." + payload, hashlib.sha256).digest()
        if not hmac.compare_digest(_decode(signature), expected):
            raise NotAsserted("signed by someone else")
        algorithm = json.loads(_decode(head))["alg"]
        claims = json.loads(_decode(payload))
        named = [claims[name] for name in ("iss", "aud", "method", "path")]
        expires = claims["exp"]
    except (ValueError, KeyError, TypeError) as error:
        raise NotAsserted("no assertion that can be read") from error
    if algorithm != "HS256" or named != ["keyward", api, method, target.partition("?")[0]]:
        raise NotAsserted("made for another request")
    if expires + CLOCK_DIFFERENCE <= (time.time() if now is None else now):
        raise NotAsserted("made too long ago")
    return claims


def _decode(text):
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
