// An HTTP API whose gateway verifies Gatehouse's access tokens.

import { App, CfnOutput, Fn, Stack } from "aws-cdk-lib";
import { HttpApi, HttpMethod } from "aws-cdk-lib/aws-apigatewayv2";
import { HttpJwtAuthorizer } from "aws-cdk-lib/aws-apigatewayv2-authorizers";
import { HttpLambdaIntegration } from "aws-cdk-lib/aws-apigatewayv2-integrations";
import { Code, Function, Runtime } from "aws-cdk-lib/aws-lambda";

const stack = new Stack(new App(), "ApiBehindGatehouse");

// What to copy: the authorizer, and two lines of each route. `gatehouse` is the name of Gatehouse's stack.
const authorizer = new HttpJwtAuthorizer("Gatehouse", Fn.importValue("gatehouse-issuer"), {
  jwtAudience: [Fn.importValue("gatehouse-audience")],
});

const profile = new Function(stack, "Profile", {
  runtime: Runtime.NODEJS_22_X,
  handler: "index.handler",
  code: Code.fromInline(
    "exports.handler = async ({ requestContext }) => ({ username: requestContext.authorizer.jwt.claims.sub });",
  ),
});

const api = new HttpApi(stack, "Api");
api.addRoutes({
  path: "/profile",
  methods: [HttpMethod.GET],
  integration: new HttpLambdaIntegration("ProfileIntegration", profile),
  authorizer,
  // Any one of them will do.
  authorizationScopes: ["profile:read"],
});

new CfnOutput(stack, "ApiUrl", { value: api.apiEndpoint });
