// An API with one route, which needs the scope `profile:read`.

import express from "express";
import { caller, Refusal } from "./access-token.js";

/** Lets a request pass whose token has all of these scopes. */
const needs = (...scopes) => async (request, _response, next) => {
  request.caller = await caller(request.get("authorization"), ...scopes);
  next();
};

const app = express();

app.get("/profile", needs("profile:read"), (request, response) => {
  response.json({ username: request.caller.sub });
});

app.use((error, _request, response, next) => {
  if (error instanceof Refusal) response.status(error.status).set(error.headers).json(error.body);
  else next(error);
});

app.listen(process.env.PORT, "127.0.0.1");
