"""Tries to keep, over HTTP, rights that were taken away: seven ways that each worked once, against the stack that
`cargo run` starts. Each function says what must not happen any more."""

import concurrent.futures
import contextlib
import json
import secrets
import subprocess
import tempfile
import threading
import time

import bcrypt
from stack import ROOT, dynamodb, run, send, stack

PASSWORD = "correct horse battery"
# The cost keeps the sign-ins that have to be under way at a certain moment from being over before it.
PARAMETERS = {"BcryptCost": "10", "RegistrationsPerAddress": "100000"}
SESSIONS = 13_000


def sign_in(api, name, password=PASSWORD):
    return send(f"{api}/login", "POST", form={"username": name, "password": password})


def tokens(api, name, password=PASSWORD):
    status, _, body = sign_in(api, name, password)
    assert status == 200, (name, status, body)
    return body


def admin(stack, *arguments, typed=""):
    command = ["target/debug/admin", "--local", "--endpoint", stack.store, *arguments]
    return subprocess.run(command, cwd=ROOT, input=typed, text=True, check=True, capture_output=True).stdout


def add(stack, name, *scopes):
    options = [option for scope in scopes for option in ("--scope", scope)]
    admin(stack, "user", "add", name, "--cost", "10", *options, typed=f"{PASSWORD}\n")


def removed_administrators(stack):
    """1: a removed administrator reinstates itself, or makes another account an administrator."""
    for name in ("disabled", "deleted", "demoted"):
        add(stack, name, "users:read", "users:write")
    add(stack, "mallory")
    api, root = stack.api, tokens(stack.api, "root")["access_token"]
    stale = {name: tokens(api, name)["access_token"] for name in ("disabled", "deleted", "demoted")}
    assert send(f"{api}/users/disabled", "PATCH", root, body={"status": "disabled"})[0] == 200
    assert send(f"{api}/users/deleted", "DELETE", root)[0] == 204
    assert send(f"{api}/users/demoted", "PATCH", root, body={"scopes": ["users:read"]})[0] == 200
    for name, token in stale.items():
        gain = {"status": "active", "scopes": ["users:read", "users:write"]}
        for whom in (name, "mallory"):
            status, _, body = send(f"{api}/users/{whom}", "PATCH", token, body=gain)
            assert status == 403, (name, whom, status, body)
    assert send(f"{api}/users/disabled", token=root)[2]["status"] == "disabled"
    assert send(f"{api}/users/demoted", token=root)[2]["scopes"] == ["users:read"]
    assert send(f"{api}/users/mallory", token=root)[2]["scopes"] == []
    assert send(f"{api}/users/root", "DELETE", root)[0] == 409


@contextlib.contextmanager
def signing_in(api, name):
    """Sign-ins of one account, four at a time, without a pause; gives what they got once they have ended."""
    got, ended = [], threading.Event()

    def go_on():
        while not ended.is_set():
            status, _, body = sign_in(api, name)
            if status == 200:
                got.append(body)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        running = [pool.submit(go_on) for _ in range(4)]
        while len(got) < 8:
            time.sleep(0.05)
        yield got
        time.sleep(1)
        ended.set()
        for thread in running:
            thread.result()


def sign_ins_under_way(stack):
    """2: a sign-in that is under way outlives disabling, deleting and a new password."""
    api, root = stack.api, tokens(stack.api, "root")["access_token"]

    def disable(name):
        assert send(f"{api}/users/{name}", "PATCH", root, body={"status": "disabled"})[0] == 200

    def delete(name):
        assert send(f"{api}/users/{name}", "DELETE", root)[0] == 204

    def delete_and_take(name):
        delete(name)
        admin(stack, "user", "free", name)
        fields = {"username": name, "password": "another password of another"}
        assert send(f"{api}/register", "POST", form=fields)[0] == 201

    def new_password(name):
        admin(stack, "user", "set-password", name, "--cost", "10", typed="another password\n")

    for loss in (disable, delete, delete_and_take, new_password):
        name = loss.__name__
        add(stack, name)
        with signing_in(api, name) as got:
            loss(name)
        for pair in got:
            assert send(f"{api}/protected", token=pair["access_token"])[0] == 401, name
            form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
            assert send(f"{api}/login", "POST", form=form)[0] == 400, name


def stuffing(stack):
    """3: one address tries a password on 200 names, unbounded and unseen."""
    # The budget is one of a half-hour of the clock.
    left = 1800 - time.time() % 1800
    if left < 120:
        time.sleep(left + 1)
    tokens(stack.api, "root")
    for person in range(20):
        fields = {"username": f"person{person}", "password": PASSWORD}
        assert send(f"{stack.api}/register", "POST", form=fields)[0] == 201
    # An office: everybody mistypes once, and signs in.
    for person in range(20):
        assert sign_in(stack.api, f"person{person}", "a typo")[0] == 401
        assert sign_in(stack.api, f"person{person}")[0] == 200
    statuses = [sign_in(stack.api, f"victim{number}", "Password1")[0] for number in range(200)]
    assert statuses[0] == 401 and statuses[-1] == 429, statuses
    # The guesses before these count too: 20 typos.
    assert statuses.index(429) == 80 and set(statuses[80:]) == {429}, statuses
    assert sum('"security_event":"sign_ins_stuffed"' in line for line in stack.log) == 1
    # A name that exists, and is known here, gets what others get, but for the right password.
    known, unknown = sign_in(stack.api, "person7", "wrong"), sign_in(stack.api, "nobody", "wrong")
    assert (known[0], known[2]) == (unknown[0], unknown[2]) == (429, known[2]), (known, unknown)
    assert sign_in(stack.api, "person7")[0] == 200


def counts_apart(stack):
    """4: rows of strangers' guesses stand in the way of the list of users."""
    for table in dynamodb(stack.store, "ListTables")["TableNames"]:
        rows = dynamodb(stack.store, "Scan", TableName=table)["Items"]
        kinds = {row["pk"]["S"].split("#")[0] for row in rows}
        assert kinds <= {"ATTEMPT"} or "ATTEMPT" not in kinds, (table, kinds)
    root = tokens(stack.api, "root")["access_token"]
    names, query = [], "limit=3&prefix=PERSON"
    while query:
        _, _, page = send(f"{stack.api}/users?{query}", token=root)
        names += [user["username"] for user in page["users"]]
        query = page["next_cursor"] and f"limit=3&prefix=PERSON&cursor={page['next_cursor']}"
    assert names == sorted(f"person{person}" for person in range(20)), names


def many_sessions(stack):
    """5: an account with thousands of sessions can be neither listed, signed out, disabled nor given a password."""
    add(stack, "busy")
    pair = tokens(stack.api, "busy")
    rows = dynamodb(stack.store, "Query", TableName="gatehouse", KeyConditionExpression="pk = :pk",
                    ExpressionAttributeValues={":pk": {"S": "SESSION#busy"}})["Items"]

    def fill():
        for _ in range(SESSIONS // 25):
            puts = [{"PutRequest": {"Item": {**rows[0], "sk": {"S": secrets.token_urlsafe(16)}}}} for _ in range(25)]
            dynamodb(stack.store, "BatchWriteItem", RequestItems={"gatehouse": puts})

    api, root = stack.api, tokens(stack.api, "root")["access_token"]
    fill()
    status, _, body = send(f"{api}/sessions", token=pair["access_token"])
    assert status == 200 and len(body["sessions"]) <= 100 and body["next_cursor"], status
    calls, more = 0, True
    while more:
        status, _, body = send(f"{api}/logout", "POST", pair["access_token"], form={"sessions": "others"})
        assert status == 200, (status, body)
        calls, more = calls + 1, body.get("more", False)
    assert len(send(f"{api}/sessions", token=pair["access_token"])[2]["sessions"]) == 1
    fill()
    form = {"current_password": PASSWORD, "new_password": "another password"}
    status, _, body = send(f"{api}/password", "POST", pair["access_token"], form=form)
    assert status == 200, (status, body)
    fill()
    status, _, body = send(f"{api}/users/busy", "PATCH", root, body={"status": "disabled"})
    assert status == 200 and body["status"] == "disabled", (status, body)
    print(f"{SESSIONS} sessions: ended in {calls} calls")


def renewed_hashes(stack):
    """6: a typo behind the 72 bytes that plain bcrypt sees is hashed, and locks the owner out."""
    password = "x" * 80
    plain = bcrypt.hashpw(password[:72].encode(), bcrypt.gensalt(4)).decode()
    with tempfile.NamedTemporaryFile("w", suffix=".htpasswd") as file:
        file.write(f"owner:{plain}\n")
        file.flush()
        admin(stack, "user", "import", file.name)
    assert sign_in(stack.api, "owner", password[:75] + "typo!")[0] == 200
    assert sign_in(stack.api, "owner", password)[0] == 200


def loose_ends(stack):
    """7: the refresh token of a changed password goes on, answers have no headers, and lines say too little."""
    api = stack.api
    add(stack, "owner7")
    pair = tokens(api, "owner7")
    form = {"current_password": PASSWORD, "new_password": "another password"}
    assert send(f"{api}/password", "POST", pair["access_token"], form=form)[0] == 200
    form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    assert send(f"{api}/login", "POST", form=form)[0] == 400
    for url in (f"{api}/", f"{api}/protected", f"{api}/nowhere"):
        _, headers, _ = send(url)
        for name in ("X-Content-Type-Options", "Strict-Transport-Security", "Referrer-Policy", "Content-Security-Policy"):
            assert headers[name], (url, name)
    # The function's name stands in front.
    line = next(line for line in reversed(stack.log) if '"outcome":"password_changed"' in line)
    line = json.loads(line.partition("] ")[2])
    assert line["user"] == "owner7" and line["address"] and line["gateway_request_id"], line


def main():
    for parameters, findings in (
        ({"LiveRevocation": "off"}, [removed_administrators]),
        ({"LiveRevocation": "0"}, [sign_ins_under_way, many_sessions, renewed_hashes]),
        ({}, [loose_ends, stuffing, counts_apart]),
    ):
        with stack({**PARAMETERS, **parameters}) as running:
            add(running, "root", "users:read", "users:write")
            for finding in findings:
                finding(running)
                print(f"{finding.__name__}: {finding.__doc__.split(':')[0]} is closed")


if __name__ == "__main__":
    run("authority", main)
