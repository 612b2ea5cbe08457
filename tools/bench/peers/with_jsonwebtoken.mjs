// An authorizer as one writes it with jsonwebtoken.

import jwt from "jsonwebtoken";
import { allow, AUDIENCE, bearer, ISSUER, SECRET } from "./authorizer.mjs";

const options = { algorithms: ["HS256"], audience: AUDIENCE, issuer: ISSUER };

export async function handler(event) {
  let claims;
  try {
    claims = jwt.verify(bearer(event), SECRET, options);
  } catch {
    throw new Error("Unauthorized");
  }
  if (!claims.exp || !claims.sub) throw new Error("Unauthorized");
  return allow(event, claims);
}
