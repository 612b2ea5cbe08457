"""Checks the token endpoint, refresh and revocation with OAuth clients of others: requests-oauthlib, Authlib and, by
oauth_client.mjs, oauth4webapi, openid-client and get-jwks for JavaScript.

Each is used as its documentation shows. Their tokens are made to look expired, so that nobody has to wait.
"""

import os
import subprocess

# oauthlib refuses http otherwise, also to this machine.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

import jwt
import requests
import requests_oauthlib
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from authlib.oidc.discovery import get_well_known_url as openid_url
from oauthlib.oauth2 import InvalidGrantError, LegacyApplicationClient
from stack import ROOT, run, stack

GREETING = {"message": "Hello johndoe, you are authenticated!"}
USER = {"username": "johndoe", "password": "secret"}
SCOPES = ["profile:read", "profile:write"]


def metadata_of(api):
    """The server's metadata, found where RFC 8414 has them for an issuer without a path."""
    metadata = requests.get(get_well_known_url(api, external=True)).json()
    assert metadata["issuer"] == api, metadata
    assert metadata["scopes_supported"] == SCOPES, metadata
    assert {"password", "refresh_token"} == set(metadata["grant_types_supported"]), metadata
    assert ["none"] == metadata["token_endpoint_auth_methods_supported"], metadata
    assert ["none"] == metadata["revocation_endpoint_auth_methods_supported"], metadata
    # The list is required, and empty here: there is no authorization endpoint. Authlib takes an empty one for none.
    assert metadata["response_types_supported"] == [], metadata
    AuthorizationServerMetadata({**metadata, "response_types_supported": ["code"]}).validate()
    assert requests.get(openid_url(api, external=True)).json() == metadata
    print("Authlib finds the metadata, by OAuth and by OpenID Connect, and nothing wrong with them")
    return metadata


def check_new(old, new, client_id):
    """A refresh has given new tokens of the same session."""
    assert new["access_token"] != old["access_token"] and new["refresh_token"] != old["refresh_token"]
    old, new = (jwt.decode(token["access_token"], options={"verify_signature": False}) for token in (old, new))
    assert (new["sid"], new["sub"], new["client_id"]) == (old["sid"], "johndoe", client_id), new
    assert new["scope"] == old["scope"] == " ".join(SCOPES), new


def refused(error, attempt):
    """The attempt ends with the client's own error for `invalid_grant`."""
    try:
        attempt()
    except error as raised:
        assert raised.error == "invalid_grant", raised
    else:
        raise AssertionError("this should have been refused")


def check_requests_oauthlib(api, metadata):
    name, client_id = "requests-oauthlib", "requests-oauthlib"
    token_url = metadata["token_endpoint"]
    oauth = requests_oauthlib.OAuth2Session(client=LegacyApplicationClient(client_id=client_id), scope=SCOPES)
    refused(InvalidGrantError, lambda: oauth.fetch_token(token_url, **{**USER, "password": "wrong"}))
    # By default it names itself by HTTP Basic, which may be there and says nothing: our clients have no credentials.
    token = oauth.fetch_token(token_url, **USER, client_id=client_id, client_secret="potato")
    assert oauth.get(f"{api}/protected").json() == GREETING
    token = oauth.fetch_token(token_url, **USER, include_client_id=True)
    assert token["scope"] == SCOPES and token["expires_in"] == 1800, token
    assert oauth.get(f"{api}/protected").json() == GREETING
    print(f"{name} signs in")

    # Twice: the second time only the refresh token that the first has brought is any good.
    for _ in range(2):
        saved = []
        oauth = requests_oauthlib.OAuth2Session(
            client_id, token={**token, "expires_at": 1, "expires_in": -30}, auto_refresh_url=token_url,
            auto_refresh_kwargs={"client_id": client_id}, token_updater=saved.append,
        )
        assert oauth.get(f"{api}/protected").json() == GREETING
        (new,) = saved
        check_new(token, new, client_id)
        assert oauth.get(f"{api}/protected").json() == GREETING and len(saved) == 1
        token = new
    print(f"{name} refreshes when its token has expired, and then is greeted")

    client = LegacyApplicationClient(client_id=client_id)
    url, headers, body = client.prepare_token_revocation_request(
        metadata["revocation_endpoint"], token["refresh_token"], "refresh_token"
    )
    assert oauth.post(url, data=body, headers=headers, withhold_token=True).status_code == 200
    refused(InvalidGrantError, lambda: oauth.refresh_token(token_url))
    assert oauth.get(f"{api}/protected").status_code == 401
    print(f"{name} revokes its refresh token, and its session is over")


def check_authlib(api, metadata):
    name, client_id = "Authlib", "authlib"
    token_endpoint = metadata["token_endpoint"]
    scope = " ".join(SCOPES)
    updated = []

    def update_token(token, refresh_token=None, access_token=None):
        updated.append((dict(token), refresh_token))

    def session(token=None):
        return OAuth2Session(
            client_id, scope=scope, token=token, token_endpoint=token_endpoint, update_token=update_token
        )

    client = session()
    refused(OAuthError, lambda: client.fetch_token(token_endpoint, **{**USER, "password": "wrong"}))
    token = dict(client.fetch_token(token_endpoint, **USER))
    assert token["scope"] == scope and token["expires_in"] == 1800, token
    assert client.get(f"{api}/protected").json() == GREETING and not updated
    print(f"{name} signs in")

    for _ in range(2):
        client = session({**token, "expires_at": 1})
        assert client.get(f"{api}/protected").json() == GREETING
        ((new, refresh_token),) = updated
        assert refresh_token == token["refresh_token"]
        check_new(token, new, client_id)
        assert client.get(f"{api}/protected").json() == GREETING and len(updated) == 1
        token = new
        updated.clear()
    print(f"{name} refreshes when its token has expired, and then is greeted")

    for kind in ("refresh_token", "access_token"):
        client = session()
        client.fetch_token(token_endpoint, **USER)
        token = dict(client.token)
        answer = client.revoke_token(metadata["revocation_endpoint"], token=token[kind], token_type_hint=kind)
        assert answer.status_code == 200, answer.text
        refused(OAuthError, lambda: client.refresh_token(token_endpoint, refresh_token=token["refresh_token"]))
        assert session(token).get(f"{api}/protected").status_code == 401
        print(f"{name} revokes its {kind.replace('_', ' ')}, and its session is over")


def check_oauth4webapi(api):
    with open(ROOT / ".ci/oauth_client.mjs", encoding="utf-8") as script:
        # Read from its input, a script finds its packages below the working directory.
        subprocess.run(
            ["node", "--input-type=module", "-", api], stdin=script, cwd=ROOT / "target/ci-node", check=True, timeout=120
        )


def main():
    # So that a client which used a refresh token twice, or its token after revocation, would be found out.
    strict = {"RefreshGraceWindow": "0", "LiveRevocation": "0", "Scopes": ",".join(SCOPES)}
    with stack(strict) as (api, *_):
        metadata = metadata_of(api)
        check_requests_oauthlib(api, metadata)
        check_authlib(api, metadata)
        check_oauth4webapi(api)


if __name__ == "__main__":
    run("OAuth clients", main)
