// Verifies access tokens of Gatehouse (RFC 9068) with the key set that the issuer's metadata name.
// A token that isn't good is 401, one that lacks a scope is 403, and a key set that can't be had is 503.

import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const { ISSUER: issuer, AUDIENCE: audience } = process.env;
if (!issuer || !audience) throw new Error("ISSUER and AUDIENCE must be set");

// `typ`: whatever else the issuer signs, an ID token for one, opens nothing.
const rules = {
  issuer,
  audience,
  typ: "at+jwt",
  algorithms: ["ES256", "EdDSA", "RS256"],
  requiredClaims: ["exp", "iat", "sub"],
};

/** An answer in place of the route's: its status, headers and body. */
export class Refusal extends Error {
  constructor(status, headers, error) {
    super(error);
    Object.assign(this, { status, headers, body: { error } });
  }
}

const unavailable = () => new Refusal(503, { "Retry-After": "5" }, "temporarily_unavailable");
const refused = (status, error, challenge) => new Refusal(status, { "WWW-Authenticate": challenge }, error);

let discovered;

/** The issuer's keys. jose fetches them again after four minutes, and for a key that it doesn't know. */
async function keys() {
  discovered ??= discover();
  try {
    return await discovered;
  } catch {
    discovered = undefined;
    throw unavailable();
  }
}

async function discover() {
  const address = `${issuer}/.well-known/openid-configuration`;
  const answer = await fetch(address, { signal: AbortSignal.timeout(5000) });
  const metadata = await answer.json();
  if (metadata.issuer !== issuer) throw new Error(`${address} has the metadata of ${metadata.issuer}`);
  return createRemoteJWKSet(new URL(metadata.jwks_uri), { cacheMaxAge: 240_000 });
}

/** Whether the token is to blame, and not the way to the keys. */
const isOfToken = (error) =>
  error instanceof errors.JOSEError &&
  !["ERR_JOSE_GENERIC", "ERR_JWKS_TIMEOUT", "ERR_JWKS_INVALID"].includes(error.code);

/** The claims of the token in this Authorization header, which has all of these scopes; or throws a Refusal. */
export async function caller(authorization, ...scopes) {
  const token = /^Bearer +([\w.~+/-]+=*)$/i.exec(authorization ?? "")?.[1];
  if (!token) throw refused(401, "invalid_token", "Bearer");
  const keySet = await keys();
  const { payload } = await jwtVerify(token, keySet, rules).catch((error) => {
    throw isOfToken(error) ? refused(401, "invalid_token", 'Bearer error="invalid_token"') : unavailable();
  });
  const granted = String(payload.scope ?? "").split(" ");
  if (!scopes.every((scope) => granted.includes(scope))) {
    throw refused(403, "insufficient_scope", `Bearer error="insufficient_scope", scope="${scopes.join(" ")}"`);
  }
  return payload;
}
