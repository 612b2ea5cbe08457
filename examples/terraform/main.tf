# An HTTP API whose gateway verifies Gatehouse's access tokens.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

variable "api_id" {
  description = "The HTTP API that you have"
  type        = string
}

variable "integration_id" {
  description = "The integration that GET /profile is for"
  type        = string
}

data "aws_cloudformation_stack" "gatehouse" {
  name = "gatehouse"
}

resource "aws_apigatewayv2_authorizer" "gatehouse" {
  api_id           = var.api_id
  name             = "gatehouse"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    issuer   = data.aws_cloudformation_stack.gatehouse.outputs["Issuer"]
    audience = [data.aws_cloudformation_stack.gatehouse.outputs["Audience"]]
  }
}

resource "aws_apigatewayv2_route" "profile" {
  api_id             = var.api_id
  route_key          = "GET /profile"
  target             = "integrations/${var.integration_id}"
  authorization_type = "JWT"
  authorizer_id      = aws_apigatewayv2_authorizer.gatehouse.id
  # Any one of them will do.
  authorization_scopes = ["profile:read"]
}
