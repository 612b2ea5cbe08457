"""An authorizer as one writes it with PyJWT."""

import jwt
from authorizer import AUDIENCE, ISSUER, REQUIRED, SECRET, allow, bearer


def handler(event, context):
    try:
        claims = jwt.decode(
            bearer(event),
            SECRET,
            algorithms=["HS256"],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": REQUIRED},
        )
    except jwt.InvalidTokenError:
        raise Exception("Unauthorized") from None
    return allow(event, claims)
