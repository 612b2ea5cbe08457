// What the two authorizers in JavaScript have in common.

export const { ISSUER, AUDIENCE } = process.env;
export const SECRET = Buffer.from(process.env.PEER_SECRET, "base64url");

/** The token of the Authorization header, in whatever case its name comes. */
export function bearer(event) {
  const name = Object.keys(event.headers).find((name) => name.toLowerCase() === "authorization");
  const [, token] = /^bearer (.+)$/i.exec(event.headers[name] ?? "") ?? [];
  if (!token) throw new Error("Unauthorized");
  return token;
}

export function allow(event, claims) {
  return {
    principalId: claims.sub,
    policyDocument: {
      Version: "2012-10-17",
      Statement: [{ Action: "execute-api:Invoke", Effect: "Allow", Resource: event.methodArn }],
    },
    context: { username: claims.sub, scope: claims.scope ?? "" },
  };
}
