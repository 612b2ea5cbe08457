use super::*;

const TEMPLATE: &str = "
Parameters:
  Issuer: {Type: String, Default: ''}
  Cached: {Type: String, Default: 'false', AllowedValues: ['true', 'false']}
Conditions:
  IsCached: !Equals [!Ref Cached, 'true']
  HasIssuer: !Not [!Equals [!Ref Issuer, '']]
Globals:
  Function: {Timeout: 5, Environment: {Variables: {TABLE: !Ref Table, ISSUER: !Ref Issuer}}}
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: prod
      Auth:
        DefaultAuthorizer: Token
        Authorizers:
          Token:
            FunctionArn: !GetAtt AuthorizerFunction.Arn
            FunctionPayloadType: REQUEST
            Identity:
              Headers: !If [IsCached, [Authorization], !Ref 'AWS::NoValue']
              ReauthorizeEvery: !If [IsCached, 60, 0]
      GatewayResponses:
        UNAUTHORIZED:
          StatusCode: 401
          ResponseParameters: {Headers: {WWW-Authenticate: \"'Bearer'\"}}
          ResponseTemplates: {application/json: '{\"error\":$context.error.messageString}'}
  LoginFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/login
      MemorySize: 1769
      Environment: {Variables: {EXTRA: 1, AUDIENCE: !If [HasIssuer, x, !Ref 'AWS::NoValue']}}
      Events:
        Login: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /login, Method: post, Auth: {Authorizer: NONE}}}
        Again: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /again, Method: get}}
  AuthorizerFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/authorizer/, Timeout: 10}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      TimeToLiveSpecification: {AttributeName: expires_at, Enabled: true}
";

fn parse(yaml: &str, given: &[(&str, &str)]) -> Result<Template, TemplateError> {
    let given = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let document = Document::parse(yaml)?;
    let parameters = Parameters::new(&document, &given).unwrap();
    Template::read(&document, &parameters, &Arns::new("aB3xyZ".to_owned()))
}

#[test]
fn functions_take_globals_and_put_their_own_over_them() {
    let template = parse(TEMPLATE, &[]).unwrap();
    let login = &template.functions["login"];
    assert_eq!((login.timeout.as_secs(), login.memory_mb), (5, 1769));
    assert_eq!(login.variables["TABLE"].as_deref(), Some("gatehouse"));
    assert_eq!(login.variables["EXTRA"].as_deref(), Some("1"));
    assert_eq!(login.variables["ISSUER"].as_deref(), Some(""));
    assert_eq!(login.variables["AUDIENCE"], None);
    assert_eq!(template.functions["authorizer"].timeout.as_secs(), 10);
}

#[test]
fn routes_use_the_default_authorizer_unless_they_say_none() {
    let template = parse(TEMPLATE, &[]).unwrap();
    let authorizer = |path| template.routes.iter().find(|route| route.path == path).unwrap().authorizer.as_deref();
    assert_eq!(authorizer("/login"), None);
    assert_eq!(authorizer("/again"), Some("Token"));
}

#[test]
fn a_parameter_switches_caching() {
    let off = &parse(TEMPLATE, &[]).unwrap().authorizers["Token"];
    assert_eq!((off.identity.len(), off.reauthorize_every.as_secs()), (0, 0));
    let on = &parse(TEMPLATE, &[("Cached", "true")]).unwrap().authorizers["Token"];
    assert_eq!(on.identity, [IdentitySource::Header("Authorization".into())]);
    assert_eq!((on.function.as_str(), on.reauthorize_every.as_secs()), ("authorizer", 60));
}

#[test]
fn gateway_responses_have_status_and_headers() {
    let responses = parse(TEMPLATE, &[]).unwrap().gateway_responses;
    assert_eq!(responses["UNAUTHORIZED"].status, Some(401));
    assert_eq!(responses["UNAUTHORIZED"].headers["WWW-Authenticate"], "'Bearer'");
}

#[test]
fn the_table_has_its_keys_and_its_ttl() {
    let table = parse(TEMPLATE, &[]).unwrap().table;
    assert_eq!(table.name, "gatehouse");
    assert_eq!(table.keys, [("pk".into(), "HASH".into())]);
    assert_eq!(table.ttl_attribute.as_deref(), Some("expires_at"));
}

const SECRETS: &str = "
  Given: {Type: 'AWS::SecretsManager::Secret', Properties: {SecretString: text}}
  None: {Type: 'AWS::SecretsManager::Secret', Properties: {Name: empty}}
  Unused: {Type: 'AWS::SecretsManager::Secret', Condition: HasIssuer}
  Schedule:
    Type: AWS::SecretsManager::RotationSchedule
    Condition: IsCached
    Properties: {SecretId: !Ref None, RotationLambdaARN: !GetAtt LoginFunction.Arn}
";

#[test]
fn secrets_have_a_first_value_and_perhaps_a_rotation() {
    let yaml = format!("{TEMPLATE}{SECRETS}");
    let [given, empty] = <[SecretSpec; 2]>::try_from(parse(&yaml, &[]).unwrap().secrets).unwrap();
    assert_eq!((given.name.as_str(), empty.name.as_str()), ("gatehouse-given", "empty"));
    assert_eq!((given.value.as_deref(), empty.value), (Some("text"), None));
    assert_eq!(empty.rotation, None);
    let rotated = &parse(&yaml, &[("Cached", "true")]).unwrap().secrets[1];
    assert_eq!(rotated.rotation.as_deref(), Some("login"));
}

#[test]
fn secrets_that_cannot_be_made_are_named() {
    for (from, to, place) in [
        ("SecretString: text", "GenerateSecretString: {}", "Given.Properties.GenerateSecretString"),
        ("!GetAtt LoginFunction.Arn", "another", "Schedule.Properties.RotationLambdaARN"),
        ("!Ref None", "another", "Schedule.Properties.SecretId"),
        ("SecretId: ", "HostedRotationLambda: {}, SecretId: ", "Schedule.Properties.HostedRotationLambda"),
    ] {
        let yaml = format!("{TEMPLATE}{}", SECRETS.replace(from, to));
        let error = parse(&yaml, &[("Cached", "true")]).unwrap_err().to_string();
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn what_cannot_be_served_is_named() {
    for (from, to, place) in [
        ("functions/login", "lambda/login", "Resources.LoginFunction.Properties.CodeUri"),
        ("Authorizer: NONE", "Authorizer: Nobody", "Events.Login.Properties.Auth.Authorizer"),
        ("$context.error.messageString", "$util.escapeJavaScript(1)", "`$util.escapeJavaScript`"),
        ("FunctionPayloadType: REQUEST", "FunctionPayloadType: TOKEN", "Authorizers.Token"),
        ("RestApiId: !Ref Api, Path: /again", "Path: /again", "Events.Again.Properties.RestApiId"),
        ("StageName: prod", "Name: prod", "Resources.Api.Properties.StageName"),
        ("StageName: prod", "BinaryMediaTypes: [a~1b]", "Resources.Api.Properties.BinaryMediaTypes"),
        (
            "Type: Api, Properties: {RestApiId: !Ref Api, Path: /again",
            "Type: HttpApi, Properties: {Path: /again",
            "Again.Type",
        ),
        ("Path: /again", "Path: /again, TimeoutInMillis: 300", "Again.Properties.TimeoutInMillis"),
        ("Timeout: 10", "Timeout: ten", "Resources.AuthorizerFunction.Properties.Timeout"),
        ("ReauthorizeEvery: !If [IsCached, 60, 0]", "Other: 1", "Token.Identity"),
    ] {
        let error = parse(&TEMPLATE.replace(from, to), &[]).unwrap_err().to_string();
        assert!(error.contains(place), "{error}");
    }
}

/// What is emulated is what the project's own template uses.
#[test]
fn the_template_uses_every_emulated_intrinsic_function() {
    let yaml = include_str!("../../../../../template.yaml");
    for used in ["!Ref ", "!GetAtt ", "!Sub ", "!If ", "!Join ", "!Select ", "!Equals ", "!Not ", "!Or "] {
        assert!(yaml.contains(used), "{used}");
    }
    for used in ["AccountId", "NoValue", "Partition", "Region", "StackName", "URLSuffix"] {
        assert!(yaml.contains(&format!("AWS::{used}")), "{used}");
    }
    let template = parse(yaml, &[]).unwrap();
    assert!(template.functions.contains_key("login") && !template.routes.is_empty());
}
