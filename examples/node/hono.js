// An API with one route, which needs the scope `profile:read`.

import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { caller, Refusal } from "./access-token.js";

/** Lets a request pass whose token has all of these scopes. */
const needs = (...scopes) => async (context, next) => {
  context.set("caller", await caller(context.req.header("authorization"), ...scopes));
  await next();
};

const app = new Hono();

app.get("/profile", needs("profile:read"), (context) => context.json({ username: context.get("caller").sub }));

app.onError((error, context) => {
  if (!(error instanceof Refusal)) throw error;
  return context.json(error.body, error.status, error.headers);
});

serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: "127.0.0.1" });
