"""Checks tokens and password hashes against independent implementations, PyJWT and passlib.

Starts the stack as `cargo run` does, on free ports and with its data in a scratch folder.
"""

import base64
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import jwt
from passlib.hash import bcrypt, bcrypt_sha256

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


def dynamodb(store, operation, body):
    """One call of the embedded store, past every line of our own."""
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/dynamodb/aws4_request, "
        "SignedHeaders=host, Signature=x",
        "X-Amz-Date": "20260101T000000Z",
    }
    with urllib.request.urlopen(
        urllib.request.Request(store, json.dumps(body).encode(), headers), timeout=60
    ) as answer:
        return json.load(answer)


def check_token(api, token, ring):
    keys = jwt.PyJWKSet.from_dict(ring)
    header = jwt.get_unverified_header(token)
    assert header == {"alg": "ES256", "kid": ring["keys"][0]["kid"], "typ": "at+jwt"}, header
    options = {"require": ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "sid", "client_id", "scope"]}
    claims = jwt.decode(
        token, keys[header["kid"]].key, algorithms=["ES256"], audience="gatehouse", issuer=api, options=options
    )
    assert set(claims) == set(options["require"]), claims
    assert claims["sub"] == "johndoe" and claims["exp"] - claims["iat"] == 1800, claims
    print("PyJWT verifies a token from login")
    return claims


def check_minted(api, private, claims):
    """Tokens that PyJWT signs with the ring's key: a good one is greeted, damaged ones are not."""
    key = jwt.PyJWK(private)
    header = {"kid": private["kid"], "typ": "at+jwt"}
    mint = lambda changed, more={}: jwt.encode({**claims, **changed}, key.key, "ES256", {**header, **more})
    assert request(f"{api}/protected", token=mint({}))[0] == 200
    public = {name: private[name] for name in ("kty", "crv", "x", "y")}
    confused = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({**header, "alg": "HS256"}, claims)
    )
    for name, token in {
        "none": jwt.encode(claims, None, "none", header),
        "HS256 with the public key": jwt.encode(claims, json.dumps(public) * 2, "HS256", header),
        "no signature": confused.decode() + ".",
        "expired": mint({"exp": claims["iat"] - 1}),
        "not yet valid": mint({"nbf": claims["exp"]}),
        "another audience": mint({"aud": "another"}),
        "a list of audiences": mint({"aud": ["gatehouse"]}),
        "another issuer": mint({"iss": "https://another.example"}),
        "another type": mint({}, {"typ": "JWT"}),
        "crit": mint({}, {"crit": ["exp"]}),
    }.items():
        status, body = request(f"{api}/protected", token=token)
        assert status == 401, (name, status, body)
    print("tokens that PyJWT signs are taken, and damaged ones refused")


def check_hashes(api, store):
    passwords = ["secret", "pässwörd \U0001f511", "x" * 100, "a\0b"]
    for number, password in enumerate(passwords):
        hashes = [bcrypt_sha256.using(rounds=4).hash(password)]
        if "\0" not in password:
            hashes += [bcrypt.using(rounds=4, ident=ident).hash(password) for ident in ("2a", "2b", "2y")]
        for position, text in enumerate(hashes):
            name = f"passlib{number}-{position}"
            row = {
                "pk": {"S": f"USER#{name}"}, "sk": {"S": "USER"}, "username": {"S": name},
                "password_hash": {"S": text}, "status": {"S": "active"},
                "created_at": {"N": "0"}, "updated_at": {"N": "0"},
            }
            dynamodb(store, "PutItem", {"TableName": "gatehouse", "Item": row})
            login = lambda text: request(f"{api}/login", {"username": name, "password": text})[0]
            assert login(password + "!" if len(password) < 72 else "!") == 401, text
            assert login(password) == 200, text
            # What the sign-in has put in its place is passlib's own format.
            key = {"pk": row["pk"], "sk": row["sk"]}
            renewed = dynamodb(store, "GetItem", {"TableName": "gatehouse", "Key": key, "ConsistentRead": True})
            renewed = renewed["Item"]["password_hash"]["S"]
            assert renewed.startswith("$bcrypt-sha256$v=2,t=2b,r=12$"), renewed
            if position == 0:
                assert bcrypt_sha256.verify(password, renewed) and not bcrypt_sha256.verify("wrong", renewed)
    print("passlib's hashes sign in, and passlib verifies ours")


def main():
    subprocess.run(["cargo", "build", "--workspace", "--bins"], cwd=ROOT, check=True)
    scratch = pathlib.Path(tempfile.mkdtemp())
    port, store_port = free_port(), free_port()
    api, store = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{store_port}"
    stack = subprocess.Popen(
        ["target/debug/local", "--memory", "--data", scratch, "--port", str(port), "--store-port", str(store_port)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )
    try:
        for line in stack.stdout:
            if line.startswith("Ready"):
                break
        private = json.loads((scratch / "keys.json").read_text())["keys"][0]
        public = {name: value for name, value in private.items() if name != "d"}
        status, body = request(f"{api}/login", {"username": "johndoe", "password": "secret"})
        assert status == 200, body
        claims = check_token(api, body["access_token"], {"keys": [public]})
        check_minted(api, private, claims)
        check_hashes(api, store)
    finally:
        stack.terminate()
        stack.wait(30)
        shutil.rmtree(scratch)


if __name__ == "__main__":
    begin = time.monotonic()
    main()
    print(f"interoperability: passed in {time.monotonic() - begin:.0f} s", file=sys.stderr)
