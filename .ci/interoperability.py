"""Checks tokens, keys and password hashes against independent implementations: PyJWT, jwcrypto, passlib and Django.

Starts the stack once for each algorithm.
"""

import base64
import json

import jwt
from django.contrib.auth.hashers import BCryptPasswordHasher, BCryptSHA256PasswordHasher
from jwcrypto import jwk, jws
from passlib.hash import bcrypt, bcrypt_sha256
from stack import aws, dynamodb, request, run, stack


def private_key(secrets):
    """The key that signs, as Secrets Manager holds it."""
    answer = aws(secrets, "secretsmanager.GetSecretValue", {"SecretId": "gatehouse-signing-secret"})
    return json.loads(answer["SecretString"])["keys"][0]


def check_token(api, token, algorithm, private):
    """PyJWT and jwcrypto verify a token from login, by the key set's address; HS256 with the secret itself."""
    header = jwt.get_unverified_header(token)
    assert header == {"alg": algorithm, "kid": private["kid"], "typ": "at+jwt"}, header
    published = request(f"{api}/.well-known/jwks.json")[1]["keys"]
    if algorithm == "HS256":
        assert published == [], published
        key, public = jwt.PyJWK(private), private
    else:
        key = jwt.PyJWKClient(f"{api}/.well-known/jwks.json").get_signing_key_from_jwt(token)
        (public,) = published
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(public), public.keys()
    options = {"require": ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "sid", "client_id", "scope"]}
    claims = jwt.decode(
        token, key, algorithms=[algorithm], audience="gatehouse", issuer=api, options=options
    )
    assert set(claims) == set(options["require"]), claims
    assert claims["sub"] == "johndoe" and claims["exp"] - claims["iat"] == 1800, claims

    signature = jws.JWS()
    signature.allowed_algs = [algorithm]
    signature.deserialize(token, key=jwk.JWK(**public))
    assert json.loads(signature.payload) == claims
    print(f"PyJWT and jwcrypto verify a token of {algorithm}")
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


def others_hashes(password):
    """What other systems have for the password: each hash, and whether it sees all of a password."""
    yield bcrypt_sha256.using(rounds=4).hash(password), True
    for ident in ("2a", "2b"):
        yield bcrypt_sha256.using(rounds=4, version=1, ident=ident).hash(password), True
    django = BCryptSHA256PasswordHasher()
    django.rounds = 4
    yield django.encode(password, django.salt()), True
    if "\0" not in password:
        for ident in ("2a", "2b", "2y"):
            plain = bcrypt.using(rounds=4, ident=ident).hash(password)
            yield plain, False
            yield "{bcrypt}" + plain, False
        django = BCryptPasswordHasher()
        django.rounds = 4
        yield django.encode(password, django.salt()), False


def check_hash(api, store, name, password, text, sees_all):
    """A user with this hash signs in, and has one of our own form from then on, if the hash has seen the whole password."""
    key = {"pk": {"S": f"CREDENTIAL#{name}"}, "sk": {"S": "PASSWORD"}}
    number = {"N": "0"}
    for row in (
        {"pk": {"S": f"USER#{name}"}, "sk": {"S": "USER"}, "listed": {"S": "users"}, "username": {"S": name},
         "account": number, "status": {"S": "active"}, "created_at": number, "updated_at": number},
        {**key, "account": number, "password_hash": {"S": text}, "password_version": number, "claimed_at": number,
         "updated_at": number},
    ):
        dynamodb(store, "PutItem", TableName="gatehouse", Item=row)

    def login(typed):
        return request(f"{api}/login", {"username": name, "password": typed})[0]

    def stored():
        answer = dynamodb(store, "GetItem", TableName="gatehouse", Key=key, ConsistentRead=True)
        return answer["Item"]["password_hash"]["S"]

    length = len(password.encode())
    seen_whole = sees_all or length < 72
    assert login(password + "!") == (401 if seen_whole else 200), text
    # Had the typo been hashed, this would be 401.
    assert login(password) == 200, text
    if not seen_whole:
        assert stored() == text, text
        return
    renewed = stored()
    assert renewed.startswith("$bcrypt-sha256$v=2,t=2b,r=12$"), renewed
    assert bcrypt_sha256.verify(password, renewed) and not bcrypt_sha256.verify("wrong", renewed)


def check_hashes(api, store):
    passwords = ["secret", "pässwörd \U0001f511", "x" * 71, "x" * 72, "x" * 100, "a\0b"]
    for number, password in enumerate(passwords):
        for position, (text, sees_all) in enumerate(others_hashes(password)):
            check_hash(api, store, f"other{number}-{position}", password, text, sees_all)
    print("hashes of passlib, Django and Spring's form sign in, and passlib verifies ours")


def main():
    for algorithm in ("ES256", "EdDSA", "RS256", "HS256"):
        with stack({"SigningAlgorithm": algorithm}) as (api, store, secrets, _):
            status, body = request(f"{api}/login", {"username": "johndoe", "password": "secret"})
            assert status == 200, body
            private = private_key(secrets)
            claims = check_token(api, body["access_token"], algorithm, private)
            if algorithm == "ES256":
                check_minted(api, private, claims)
                check_hashes(api, store)


if __name__ == "__main__":
    run("interoperability", main)
