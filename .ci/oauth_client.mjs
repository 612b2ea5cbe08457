// Signs in, verifies the token, refreshes and revokes with oauth4webapi, as its documentation shows.
// oauth_clients.py runs it with the API's address.

import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";

const issuer = new URL(process.argv[2]);
const client = { client_id: "oauth4webapi" };
const clientAuth = oauth.None();
// http will do to this machine.
const options = { [oauth.allowInsecureRequests]: true };

const server = await oauth
  .discoveryRequest(issuer, { algorithm: "oauth2", ...options })
  .then((response) => oauth.processDiscoveryResponse(issuer, response));
console.log("oauth4webapi finds the metadata");

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
