"""An authorizer as one writes it with python-jose."""

from authorizer import AUDIENCE, ISSUER, REQUIRED, SECRET, allow, bearer
from jose import JWTError, jwt


def handler(event, context):
    try:
        claims = jwt.decode(
            bearer(event),
            SECRET,
            algorithms=["HS256"],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require_" + name: True for name in REQUIRED},
        )
    except JWTError:
        raise Exception("Unauthorized") from None
    return allow(event, claims)
