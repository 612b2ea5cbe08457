"""What the two authorizers in Python have in common."""

import base64
import os

ISSUER = os.environ["ISSUER"]
AUDIENCE = os.environ["AUDIENCE"]
SECRET = base64.urlsafe_b64decode(os.environ["PEER_SECRET"] + "==")
REQUIRED = ["exp", "iss", "aud", "sub"]


def bearer(event):
    """The token of the Authorization header, in whatever case its name comes."""
    for name, value in event["headers"].items():
        if name.lower() == "authorization":
            scheme, _, token = value.partition(" ")
            if scheme.lower() == "bearer" and token:
                return token
    raise Exception("Unauthorized")


def allow(event, claims):
    return {
        "principalId": claims["sub"],
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]}],
        },
        "context": {"username": claims["sub"], "scope": claims.get("scope", "")},
    }
