// An authorizer as one writes it with jose.

import { jwtVerify } from "jose";
import { allow, AUDIENCE, bearer, ISSUER, SECRET } from "./authorizer.mjs";

const options = {
  algorithms: ["HS256"],
  audience: AUDIENCE,
  issuer: ISSUER,
  requiredClaims: ["exp", "sub"],
};

export async function handler(event) {
  let verified;
  try {
    verified = await jwtVerify(bearer(event), SECRET, options);
  } catch {
    throw new Error("Unauthorized");
  }
  return allow(event, verified.payload);
}
