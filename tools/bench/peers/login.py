"""A sign-in as one writes it with boto3, bcrypt and PyJWT: reads the user, checks the password, puts a session, and
signs a token. It counts no guesses, so that it calls the table twice where login calls it four times.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from urllib.parse import parse_qs

import bcrypt
import boto3
import jwt

TABLE = os.environ["TABLE_NAME"]
SECRET = base64.urlsafe_b64decode(os.environ["PEER_SECRET"] + "==")
LIFETIME = 1800
SESSION = 30 * 86_400

table = boto3.client("dynamodb")


def handler(event, context):
    fields = parse_qs(event["body"])
    username, password = fields["username"][0], fields["password"][0]
    found = table.get_item(
        TableName=TABLE,
        Key={"pk": {"S": "USER#" + username.lower()}, "sk": {"S": "USER"}},
        ConsistentRead=True,
    ).get("Item")
    if found is None or not verify(password, found["password_hash"]["S"]):
        return answer(401, {"error": "invalid_grant", "error_description": "Invalid credentials"})
    now = int(time.time())
    session = secrets.token_urlsafe(16)
    table.put_item(
        TableName=TABLE,
        Item={
            "pk": {"S": "SESSION#" + username.lower()},
            "sk": {"S": session},
            "counter": {"N": "0"},
            "client_id": {"S": "gatehouse"},
            "created_at": {"N": str(now)},
            "expires_at": {"N": str(now + SESSION)},
        },
        ConditionExpression="attribute_not_exists(pk)",
    )
    claims = {
        "iss": os.environ["ISSUER"],
        "aud": os.environ["AUDIENCE"],
        "sub": username,
        "iat": now,
        "exp": now + LIFETIME,
        "jti": secrets.token_urlsafe(16),
        "sid": session,
        "scope": " ".join(found.get("scopes", {"SS": []})["SS"]),
    }
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    return answer(200, {"access_token": token, "token_type": "bearer", "expires_in": LIFETIME})


def verify(password, stored):
    """Whether the password is that of passlib's hash `$bcrypt-sha256$v=2,t=2b,r=4$salt$digest`."""
    _, _, parameters, salt, digest = stored.split("$")
    cost = int(parameters.rpartition("r=")[2])
    inner = base64.b64encode(hmac.digest(salt.encode(), password.encode(), hashlib.sha256))
    return bcrypt.checkpw(inner, f"$2b${cost:02}${salt}{digest}".encode())


def answer(status, body):
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(body)}
