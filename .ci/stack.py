"""Runs the stack as `cargo run` does, for scripts that check it with programs of others."""

import collections
import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def send(url, method="GET", token=None, form=None, body=None):
    """Status, headers and JSON body of a call, with these fields as a form or as JSON."""
    data, headers = None, {}
    if form is not None:
        data = urllib.parse.urlencode(form).encode()
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=60) as answer:
            return answer.status, answer.headers, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.loads(error.read() or b"null")


def request(url, fields=None, token=None):
    """Status and JSON body of a GET, or of a POST of these fields."""
    status, _, body = send(url, "POST" if fields else "GET", token, form=fields or None)
    return status, body


def aws(url, target, body):
    """One call of the embedded store or of the secrets, past every line of our own. They ask for a signature, and not
    whose."""
    headers = {
        "Content-Type": "application/x-amz-json-1.1" if target.startswith("secrets") else "application/x-amz-json-1.0",
        "X-Amz-Target": target,
        "Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/x/aws4_request, "
        "SignedHeaders=host, Signature=x",
        "X-Amz-Date": "20260101T000000Z",
    }
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=60) as answer:
        return json.load(answer)


def dynamodb(store, operation, **members):
    return aws(store, f"DynamoDB_20120810.{operation}", members)


# The addresses of the API, of the store and of the secrets, and the lines that were logged so far.
Stack = collections.namedtuple("Stack", ["api", "store", "secrets", "log"])


@contextlib.contextmanager
def stack(parameters):
    """A running stack with these parameters of the template, on free ports and with its data in a scratch folder.
    Its log is shown where something fails."""
    ports = [free_port() for _ in range(3)]
    with tempfile.TemporaryDirectory() as scratch:
        process = subprocess.Popen(
            ["target/debug/local", "--data", scratch, "--port", str(ports[0]), "--store-port", str(ports[1]),
             "--secrets-port", str(ports[2]), "--log", "json", *(f"--parameter={name}={value}" for name, value in parameters.items())],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        log = []
        threading.Thread(target=lambda: log.extend(process.stderr), daemon=True).start()
        try:
            if not any(line.startswith("Ready") for line in iter(process.stdout.readline, "")):
                raise SystemExit("".join(log))
            yield Stack(*(f"http://127.0.0.1:{port}" for port in ports), log)
        except BaseException:
            print("".join(log), file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(30)


def run(name, main):
    """Builds what the stack consists of, runs the checks, and says how long they took."""
    begin = time.monotonic()
    # Else what a child prints would come first.
    sys.stdout.reconfigure(line_buffering=True)
    subprocess.run(["cargo", "build", "--workspace", "--bins", "--tests"], cwd=ROOT, check=True)
    main()
    print(f"{name}: passed in {time.monotonic() - begin:.0f} s", file=sys.stderr)
