"""Follows the README of each example in examples/ that can be followed without an account: APIs that take our tokens.

FastAPI, Express, Hono and nginx are started by the commands there, and asked with tokens that they must take and with
tokens that they must refuse. Templates, the CDK's too, are linted.
"""

import contextlib
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from stack import ROOT, aws, free_port, request, run, send, stack

EXAMPLES = ROOT / "examples"
INSTALLED = ROOT / "target/ci-examples"
SERVERS = ["fastapi", "node"]
SCOPES = "profile:read,profile:write"


def console(example):
    """The console blocks of an example's README: of each, the commands, and what the last one prints."""
    text = (EXAMPLES / example / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        lines = block.splitlines()
        commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        yield commands, "\n".join(line for line in lines if not line.startswith("$ "))


def parts(example):
    """An example's commands that install, those that each start a server, and its calls with what the last one prints."""
    *blocks, (calls, expected) = console(example)
    commands = [command for block, _ in blocks for command in block]
    servers = [command for command in commands if command.startswith("ISSUER=")]
    return [command for command in commands if command not in servers], servers, calls, expected


def install(example, commands):
    """A copy of the example in which the README's first commands were given, once for its dependencies as they are."""
    source, folder = EXAMPLES / example, INSTALLED / example
    needs = [path.read_text(encoding="utf-8") for path in source.iterdir() if path.name in ("package.json", "requirements.txt")]
    stamp = json.dumps([commands, needs])
    is_installed = (folder / "stamp").is_file() and (folder / "stamp").read_text(encoding="utf-8") == stamp
    if not is_installed:
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".venv", "node_modules", "cdk.out"))
    if not is_installed:
        for command in commands:
            subprocess.run(["bash", "-c", command], cwd=folder, check=True, timeout=300)
        (folder / "stamp").write_text(stamp, encoding="utf-8")
    return folder


def answer(url, token=None):
    """Status, challenge and text of a GET."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as response:
            return response.status, None, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["WWW-Authenticate"], error.read().decode()


def at_ports(text, api, port):
    """A command or a file of an example, with the addresses of this run."""
    return text.replace("http://127.0.0.1:3000", api).replace("8080", str(port))


@contextlib.contextmanager
def served(folder, command, api, port):
    """The example's own server, by the last command of its README's first block."""
    # `exec`, so that it is the server that ends, and not a shell before it.
    settings, _, program = re.fullmatch(r"((\w+=\S+ )*)(.*)", at_ports(command, api, port)).groups()
    with open(folder / "log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(["bash", "-c", f"{settings}exec {program}"], cwd=folder, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(150):
            with contextlib.suppress(urllib.error.URLError):
                answer(url)
                break
            time.sleep(0.1)
        else:
            raise AssertionError(f"nothing listens at {url}")
        yield url
    except BaseException:
        print((folder / "log").read_text(encoding="utf-8"), file=sys.stderr)
        raise
    finally:
        process.terminate()
        process.wait(30)


def damaged(token, private):
    """A token that PyJWT signs with our key, and such as have to be refused with 401: each is the same but for the damage
    that it is named by."""
    claims = jwt.decode(token, options={"verify_signature": False})
    key = jwt.PyJWK(private).key
    header = {"kid": private["kid"], "typ": "at+jwt"}
    mint = lambda changed={}, more={}, signer=key: jwt.encode({**claims, **changed}, signer, "ES256", {**header, **more})
    without = lambda claim: jwt.encode({k: v for k, v in claims.items() if k != claim}, key, "ES256", header)
    stranger = ec.generate_private_key(ec.SECP256R1())
    public = json.dumps({name: private[name] for name in ("kty", "crv", "x", "y")})
    head, body, signature = token.split(".")
    return mint(), {
        "of another audience": mint({"aud": "another"}),
        "of another issuer": mint({"iss": "https://another.example"}),
        "an ID token": mint(more={"typ": "JWT"}),
        "without a type": jwt.encode(claims, key, "ES256", {"kid": private["kid"], "typ": None}),
        "expired": mint({"iat": claims["iat"] - 3600, "nbf": claims["iat"] - 3600, "exp": claims["iat"] - 1800}),
        "not yet valid": mint({"nbf": claims["exp"]}),
        "that never expires": without("exp"),
        "of nobody": without("sub"),
        "of alg none": jwt.encode(claims, None, "none", header),
        "of HS256 with the public key": jwt.encode(claims, public * 2, "HS256", header),
        "of another key": mint(signer=stranger),
        "of another key under its own name": mint(more={"kid": "another"}, signer=stranger),
        "without a signature": f"{head}.{body}.",
        "with other claims": ".".join([head, mint({"sub": "alice"}).split(".")[1], signature]),
        "that is no token": "potato",
    }


def sign_in(api, **more):
    """An access token of the laptop's user."""
    return request(f"{api}/login", {"username": "johndoe", "password": "secret", **more})[1]["access_token"]


def signing_key(secrets):
    answer = aws(secrets, "secretsmanager.GetSecretValue", {"SecretId": "gatehouse-signing-secret"})
    return json.loads(answer["SecretString"])["keys"][0]


def check_refused(address, refused):
    for name, token in refused.items():
        status, challenge, text = answer(address, token)
        assert status == 401 and challenge == 'Bearer error="invalid_token"', (name, status, challenge, text)


def check_servers(example, api, secrets):
    commands, servers, calls, expected = parts(example)
    folder = install(example, commands)
    for server in servers:
        check_server(folder, server, calls, expected, api, secrets)
        print(f"{example}, {server.split('=gatehouse ')[1]}: takes our tokens, refuses others and a lack of scope")


def check_server(folder, server, calls, expected, api, secrets):
    token = sign_in(api)
    minted, refused = damaged(token, signing_key(secrets))
    with served(folder, server, api, free_port()) as url:
        address = f"{url}/profile"
        script = "\n".join(at_ports(call, api, url.rsplit(":", 1)[1]) for call in calls)
        printed = subprocess.run(["bash", "-ec", script], check=True, timeout=30, capture_output=True, text=True).stdout
        assert printed.strip() == expected, printed
        assert answer(address, minted)[0] == 200, answer(address, minted)

        status, challenge, _ = answer(address)
        assert status == 401 and challenge == "Bearer", (status, challenge)
        check_refused(address, refused)
        status, challenge, _ = answer(address, sign_in(api, scope="profile:write"))
        assert status == 403 and challenge.startswith('Bearer error="insufficient_scope"'), (status, challenge)
    # An outage of the issuer is not the caller's fault.
    with served(folder, server, f"http://127.0.0.1:{free_port()}", free_port()) as url:
        assert answer(f"{url}/profile", token)[0] == 503


def check_algorithm(algorithm):
    """Each server takes tokens of this algorithm, and tells those of two stacks apart."""
    parameters = {"Scopes": SCOPES, "SigningAlgorithm": algorithm}
    with stack(parameters) as (api, *_), stack(parameters) as (another, *_):
        token, foreign = sign_in(api), sign_in(another)
        for example in SERVERS:
            commands, servers, *_ = parts(example)
            folder = install(example, commands)
            for server in servers:
                with served(folder, server, api, free_port()) as url:
                    found = [answer(f"{url}/profile", each)[0] for each in (token, foreign)]
                    assert found == [200, 401], (server, algorithm, found)
    print(f"{', '.join(SERVERS)}: take tokens of {algorithm}")


class Behind(http.server.BaseHTTPRequestHandler):
    """An API that takes whatever reaches it."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"behind nginx")

    do_POST = do_GET

    def log_message(self, *_):
        pass


def check_nginx(api, secrets):
    ((command,), _) = next(console("nginx"))
    folder, port = install("nginx", []), free_port()
    behind = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Behind)
    threading.Thread(target=behind.serve_forever, daemon=True).start()
    settings = at_ports((EXAMPLES / "nginx/nginx.conf").read_text(encoding="utf-8"), api, port)
    (folder / "nginx.conf").write_text(settings.replace("8081", str(behind.server_port)), encoding="utf-8")
    token = sign_in(api)
    minted, refused = damaged(token, signing_key(secrets))
    with served(folder, command, api, port) as url:
        for good in (token, minted):
            assert answer(f"{url}/anything", good) == (200, None, "behind nginx"), answer(f"{url}/anything", good)
        assert answer(url)[0] == 401
        check_refused(f"{url}/anything", refused)
        cookie = urllib.request.Request(url, headers={"Cookie": f"__Host-access_token={token}"}, method="POST")
        try:
            urllib.request.urlopen(cookie, timeout=30)
            raise AssertionError("a cookie passed")
        except urllib.error.HTTPError as error:
            assert error.code == 401, error
        # A GET is asked, whatever the request is.
        post = urllib.request.Request(url, b"x", {"Authorization": f"Bearer {token}"})
        assert urllib.request.urlopen(post, timeout=30).read() == b"behind nginx"
        assert send(f"{api}/logout", "POST", token)[0] == 200
        assert answer(url, token)[0] == 401
    behind.shutdown()
    print(f"nginx, by its README: takes our tokens, refuses {len(refused)} others, a cookie, and a session that is over")


def lint(template, *options):
    subprocess.run([pathlib.Path(sys.executable).parent / "cfn-lint", *options, "--", template], check=True, timeout=120)


def check_templates():
    templates = sorted(EXAMPLES.glob("*/template.yaml"))
    assert len(templates) == 3, templates
    for template in templates:
        lint(template)
    (*commands, synth), _ = next(console("cdk"))
    folder = install("cdk", commands)
    # Nothing but the template is wanted of it: no news, and no report of who makes one.
    quiet = {**os.environ, "CDK_DISABLE_CLI_TELEMETRY": "1"}
    command = f"{synth} --no-notices --no-version-reporting 2>log || {{ cat log >&2; exit 1; }}"
    subprocess.run(["bash", "-c", command], cwd=folder, env=quiet, check=True, timeout=120)
    # Without warnings: they are about what the CDK adds of its own.
    lint(folder / "cdk.out/ApiBehindGatehouse.template.json", "--regions", "us-east-1", "--ignore-checks", "W")
    print(f"{len(templates)} templates, and the one that the CDK writes by its README, have nothing that cfn-lint finds")


def main():
    with stack({"Scopes": SCOPES, "LiveRevocation": "0"}) as (api, _, secrets, _):
        for example in SERVERS:
            check_servers(example, api, secrets)
        check_nginx(api, secrets)
    for algorithm in ("EdDSA", "RS256"):
        check_algorithm(algorithm)
    check_templates()


if __name__ == "__main__":
    run("resource servers", main)
