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


def request(url, fields=None, token=None):
    """Status and JSON body of a GET, or of a POST of these fields."""
    data = urllib.parse.urlencode(fields).encode() if fields else None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


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
