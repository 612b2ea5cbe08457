"""Verifies access tokens of Gatehouse (RFC 9068) with the key set that the issuer's metadata name.

A token that isn't good is 401, one that lacks a scope is 403, and a key set that can't be had is 503.
"""

import functools
import json
import os
import urllib.request
from typing import Annotated

import jwt
from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

ISSUER = os.environ["ISSUER"]
AUDIENCE = os.environ["AUDIENCE"]
REQUIRED = ["iss", "aud", "exp", "iat", "sub"]


@functools.cache
def keys():
    """The issuer's keys. PyJWT fetches them again after four minutes, and for a key that it doesn't know."""
    with urllib.request.urlopen(f"{ISSUER}/.well-known/openid-configuration", timeout=5) as answer:
        metadata = json.load(answer)
    if metadata["issuer"] != ISSUER:
        raise OSError(f"the metadata are those of {metadata['issuer']}")
    return jwt.PyJWKClient(metadata["jwks_uri"], lifespan=240, timeout=5)


def verified(token):
    """The claims of an access token for this API; an error of PyJWT where it isn't one."""
    key = keys().get_signing_key_from_jwt(token)
    # The key says which algorithm it is for. The token's header is only what its sender says.
    decoded = jwt.decode_complete(
        token, key, algorithms=[key.algorithm_name], issuer=ISSUER, audience=AUDIENCE, options={"require": REQUIRED}
    )
    # Whatever else the issuer signs, an ID token for one, opens nothing.
    if str(decoded["header"].get("typ")).lower().removeprefix("application/") != "at+jwt":
        raise jwt.InvalidTokenError("this is not an access token")
    return decoded["payload"]


def caller(
    scopes: SecurityScopes,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
):
    """The claims of the request's token, which has all scopes of the route."""
    if credentials is None:
        raise HTTPException(401, "Sign in, and send the access token", {"WWW-Authenticate": "Bearer"})
    try:
        claims = verified(credentials.credentials)
    except (OSError, jwt.PyJWKClientConnectionError, jwt.PyJWKSetError) as outage:
        raise HTTPException(503, "Try again in a few seconds", {"Retry-After": "5"}) from outage
    except jwt.PyJWTError as refusal:
        challenge = 'Bearer error="invalid_token"'
        raise HTTPException(401, "The access token is not valid", {"WWW-Authenticate": challenge}) from refusal
    if not set(scopes.scopes) <= set(str(claims.get("scope", "")).split()):
        challenge = f'Bearer error="insufficient_scope", scope="{scopes.scope_str}"'
        raise HTTPException(403, "The access token does not allow this", {"WWW-Authenticate": challenge})
    return claims
