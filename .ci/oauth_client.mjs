// Signs in, verifies the token, refreshes and revokes with oauth4webapi, as its documentation shows; finds the server
// with openid-client and its keys with get-jwks, by the metadata of OpenID Connect, which are their default.
// oauth_clients.py runs it with the API's address.

import assert from "node:assert/strict";
import buildGetJwks from "get-jwks";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";

const issuer = new URL(process.argv[2]);
const client = { client_id: "oauth4webapi" };
const clientAuth = oauth.None();
// http will do to this machine.
const options = { [oauth.allowInsecureRequests]: true };

const discover = (algorithm) =>
  oauth
    .discoveryRequest(issuer, { ...algorithm, ...options })
    .then((response) => oauth.processDiscoveryResponse(issuer, response));
const server = await discover({ algorithm: "oauth2" });
assert.deepEqual(await discover({}), server);
console.log("oauth4webapi finds the metadata, by OAuth and by OpenID Connect");

const found = await openid.discovery(issuer, "openid-client", undefined, openid.None(), {
  execute: [openid.allowInsecureRequests],
});
assert.deepEqual({ ...found.serverMetadata() }, { ...server });
const tokens = await openid.genericGrantRequest(found, "password", { username: "johndoe", password: "secret" });
const refreshed = await openid.refreshTokenGrant(found, tokens.refresh_token);
await openid.tokenRevocation(found, refreshed.refresh_token);
await assert.rejects(openid.refreshTokenGrant(found, refreshed.refresh_token), { error: "invalid_grant" });
console.log("openid-client finds the metadata, signs in, refreshes and revokes");

const [head] = tokens.access_token.split(".");
const { kid, alg } = JSON.parse(Buffer.from(head, "base64url"));
const jwks = buildGetJwks({ providerDiscovery: true, issuersWhitelist: [issuer.href] });
const key = await jwks.getJwk({ domain: issuer.href, kid, alg });
assert.deepEqual({ kid: key.kid, alg: key.alg }, { kid, alg });
console.log("get-jwks finds the key by the metadata");

const signIn = (password) =>
  oauth
    .genericTokenEndpointRequest(server, client, clientAuth, "password", { username: "johndoe", password }, options)
    .then((response) => oauth.processGenericTokenEndpointResponse(server, client, response));
const refresh = (token) =>
  oauth
    .refreshTokenGrantRequest(server, client, clientAuth, token, options)
    .then((response) => oauth.processRefreshTokenResponse(server, client, response));
const greeting = (token) =>
  oauth
    .protectedResourceRequest(token, "GET", new URL("/protected", issuer), undefined, undefined, options)
    .then((response) => response.json());
const verify = (token) => {
  const request = new Request(issuer, { headers: { authorization: `Bearer ${token}` } });
  return oauth.validateJwtAccessToken(server, request, "gatehouse", options);
};
const hello = { message: "Hello johndoe, you are authenticated!" };
const invalidGrant = (error) => error instanceof oauth.ResponseBodyError && error.error === "invalid_grant";

await assert.rejects(signIn("wrong"), invalidGrant);
const first = await signIn("secret");
assert.deepEqual(await greeting(first.access_token), hello);
const { sid, sub, client_id } = await verify(first.access_token);
assert.deepEqual({ sub, client_id }, { sub: "johndoe", client_id: "oauth4webapi" });
console.log("oauth4webapi signs in, and verifies the token by RFC 9068");

const second = await refresh(first.refresh_token);
assert.notEqual(second.refresh_token, first.refresh_token);
assert.deepEqual(await greeting(second.access_token), hello);
assert.equal((await verify(second.access_token)).sid, sid);
console.log("oauth4webapi refreshes, and then is greeted");

await oauth
  .revocationRequest(server, client, clientAuth, second.refresh_token, options)
  .then((response) => oauth.processRevocationResponse(response));
await assert.rejects(refresh(second.refresh_token), invalidGrant);
await assert.rejects(greeting(second.access_token), (error) => {
  assert(error instanceof oauth.WWWAuthenticateChallengeError, error);
  assert.equal(error.status, 401);
  assert.deepEqual(error.cause[0], { scheme: "bearer", parameters: { error: "invalid_token" } });
  return true;
});
console.log("oauth4webapi revokes its refresh token, and its session is over");
