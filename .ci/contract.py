"""What schemathesis has to know to try the contract on a running `make run`: who is logged in, and who exists.

A valid value is replaced by another valid one, so whether a request is good stays as it was generated.
"""

import re
import zlib
from urllib.parse import urlencode

import requests
import schemathesis

URL = "http://localhost:9000"
# A demo user, and one whose sessions may be ended.
TOKEN = "demo-token-alice-AAAAAAAAAAAAAAAAAAAAAAAAAA"
GUEST = {"username": "guest", "password": "leaves the house at nine"}
requests.post(f"{URL}/users", json=GUEST)
USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{2,63}")


def operation(case):
    return case.operation.definition.raw["operationId"]


@schemathesis.auth(refresh_interval=None)
class Session:
    def get(self, case, _context):
        if operation(case) not in ("ChangePassword", "Logout"):
            return TOKEN
        return requests.post(f"{URL}/login", json=GUEST).json()["token"]

    def set(self, case, token, _context):
        case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.hook
def filter_query(_context, query):
    """API Gateway refuses by itself what has more than 10,240 bytes before the body."""
    return len(urlencode(query or {}, doseq=True)) < 8_000


@schemathesis.hook
def before_call(_context, case, _arguments):
    after = (case.query or {}).get("after")
    if operation(case) == "GetChanges" and isinstance(after, int) and 2 < after < 2**53 and after % 10:
        # A position that exists.
        case.query["after"] = 0
    body = case.body
    if not isinstance(body, dict):
        return

    def put(field, value, share):
        """The value in place of a valid one, but for a share of the requests."""
        old = body.get(field)
        if isinstance(old, str) and USERNAME.fullmatch(old) and zlib.crc32(old.encode()) % 100 >= share:
            body[field] = value
            return True
        return False

    # JSON Schema takes 184.0 for an integer, and the service asks for plain digits.
    body.update({name: int(value) for name, value in body.items() if isinstance(value, float) and value.is_integer()})
    password = body.get("password")
    is_password = isinstance(password, str) and 8 <= len(password) <= 512
    match operation(case):
        case "CreateUser" if is_password:
            # A strong one.
            body["password"] = GUEST["password"]
        case "Login" if is_password:
            # Few failures: after 100 from one address, all its logins are refused for an hour. A password of more than
            # 128 characters is valid in a few alphabets only.
            if put("username", GUEST["username"], 5) or len(password) > 128:
                body["password"] = GUEST["password"]
        case "Logout":
            put("username", GUEST["username"], 30)
        case "ChangePassword":
            put("username", GUEST["username"], 30)
            if is_password:
                body["password"] = GUEST["password"]
            if isinstance(new := body.get("new_password"), str) and 8 <= len(new) <= 512:
                body["new_password"] = GUEST["password"]
        case "DeleteUser":
            # Somebody else, so nobody is deleted and nobody's password is guessed.
            put("username", GUEST["username"], 0)
            if is_password:
                body["password"] = GUEST["password"]
        case "EndSession":
            put("username", "alice", 30)
        case "SetBlock":
            put("username", "alice", 30)
            # Somebody to whom nobody writes.
            put("peer", GUEST["username"], 0)
        case _:
            put("sender", "alice", 30)
            put("receiver", "bob", 30)
