"""The routes of FastAPI's security tutorial: a sign-in with a form, and what it protects with a token of HS256."""

import secrets
from datetime import datetime, timedelta, timezone
from typing import Annotated

import bcrypt
import jwt
from fastapi import Depends, FastAPI, HTTPException, status
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm

SECRET = secrets.token_bytes(32)
LIFETIME = timedelta(minutes=30)
USERS = {"johndoe": bcrypt.hashpw(b"secret", bcrypt.gensalt(4))}

app = FastAPI()
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="login")


def refused(detail: str) -> HTTPException:
    return HTTPException(
        status_code=status.HTTP_401_UNAUTHORIZED, detail=detail, headers={"WWW-Authenticate": "Bearer"}
    )


async def current_user(token: Annotated[str, Depends(oauth2_scheme)]) -> str:
    try:
        username = jwt.decode(token, SECRET, algorithms=["HS256"]).get("sub")
    except jwt.InvalidTokenError:
        raise refused("Could not validate credentials") from None
    if username not in USERS:
        raise refused("Could not validate credentials")
    return username


@app.post("/login")
async def login(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
    stored = USERS.get(form.username)
    if stored is None or not bcrypt.checkpw(form.password.encode(), stored):
        raise refused("Incorrect username or password")
    claims = {"sub": form.username, "exp": datetime.now(timezone.utc) + LIFETIME}
    return {"access_token": jwt.encode(claims, SECRET, algorithm="HS256"), "token_type": "bearer"}


@app.get("/protected")
async def protected(username: Annotated[str, Depends(current_user)]) -> dict[str, str]:
    return {"message": f"Hello {username}, you are authenticated!"}
