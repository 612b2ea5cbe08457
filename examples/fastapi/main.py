"""An API with one route, which needs the scope `profile:read`."""

from typing import Annotated

from access_token import caller
from fastapi import FastAPI, Security

app = FastAPI()


@app.get("/profile")
def profile(claims: Annotated[dict, Security(caller, scopes=["profile:read"])]):
    return {"username": claims["sub"]}
