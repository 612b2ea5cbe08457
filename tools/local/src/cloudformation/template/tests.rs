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
    let tables = parse(TEMPLATE, &[]).unwrap().tables;
    let table = &tables["Table"];
    assert_eq!(table.name, "gatehouse");
    assert_eq!(table.keys, [("pk".into(), "HASH".into())]);
    assert_eq!(table.ttl_attribute.as_deref(), Some("expires_at"));
    assert!(table.indexes.is_empty());
}

const TABLES: &str = "
  CountsTable:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}, {AttributeName: day, AttributeType: N}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      GlobalSecondaryIndexes:
        - IndexName: days
          KeySchema: [{AttributeName: day, KeyType: HASH}, {AttributeName: pk, KeyType: RANGE}]
          Projection: {ProjectionType: INCLUDE, NonKeyAttributes: [a, b]}
  Named: {Type: 'AWS::DynamoDB::Table', Properties: {TableName: mine, AttributeDefinitions: [], KeySchema: []}}
  Unused: {Type: 'AWS::DynamoDB::Table', Condition: HasIssuer}
";

#[test]
fn each_table_has_its_own_name_keys_and_indexes() {
    let template = parse(&format!("{TEMPLATE}{TABLES}"), &[]).unwrap();
    let names: Vec<_> = template.tables.values().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["gatehouse-counts", "mine", "gatehouse"]);
    let counts = &template.tables["CountsTable"];
    assert_eq!(counts.ttl_attribute, None);
    let [days] = counts.indexes.as_slice() else { panic!("{counts:?}") };
    assert_eq!((days.name.as_str(), days.projection.as_str()), ("days", "INCLUDE"));
    assert_eq!(days.keys, [("day".into(), "HASH".into()), ("pk".into(), "RANGE".into())]);
    assert_eq!(days.included, ["a", "b"]);
}

#[test]
fn tables_that_cannot_be_made_are_named() {
    for (from, to, place) in [
        ("IndexName: days", "Name: days", "CountsTable.Properties.GlobalSecondaryIndexes[0].IndexName"),
        ("ProjectionType", "Type", "GlobalSecondaryIndexes[0].Projection.ProjectionType"),
        ("AttributeName: day, KeyType: HASH", "AttributeName: day", "GlobalSecondaryIndexes[0].KeySchema[0].KeyType"),
        ("TableName: mine", "LocalSecondaryIndexes: []", "Named.Properties.LocalSecondaryIndexes"),
        ("TableName: mine, AttributeDefinitions: []", "TableName: mine", "Named.Properties.AttributeDefinitions"),
        ("\n  Table:", "\n  Accounts:", "Resources: there has to be an AWS::DynamoDB::Table of the name Table"),
    ] {
        let yaml = format!("{TEMPLATE}{TABLES}").replace("TABLE: !Ref Table, ", "").replace(from, to);
        let error = parse(&yaml, &[]).unwrap_err().to_string();
        assert!(error.contains(place), "{error}");
    }
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

const STREAM: &str = "
  Streamed:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: []
      KeySchema: []
      StreamSpecification: {StreamViewType: KEYS_ONLY}
  Failures: {Type: 'AWS::SQS::Queue'}
  EraseFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/erase
      Events:
        Least: {Type: DynamoDB, Properties: {Stream: !GetAtt Streamed.StreamArn, StartingPosition: TRIM_HORIZON}}
        Most:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Streamed.StreamArn
            StartingPosition: LATEST
            BatchSize: 10
            FilterCriteria: {Filters: [{Pattern: '{\"dynamodb\":{\"Keys\":{\"pk\":{\"S\":[{\"prefix\":\"USER#\"}]}}}}'}]}
            MaximumRetryAttempts: 3
            BisectBatchOnFunctionError: true
            DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Failures.Arn}}
";

#[test]
fn an_event_of_a_stream_says_how_changes_are_told() {
    let template = parse(&format!("{TEMPLATE}{STREAM}"), &[]).unwrap();
    let stream = template.tables["Streamed"].stream.as_ref().unwrap();
    assert_eq!(stream.view_type, "KEYS_ONLY");
    assert!(template.tables["Table"].stream.is_none());
    let [least, most] = <[ConsumerSpec; 2]>::try_from(template.consumers).unwrap();
    for consumer in [&least, &most] {
        assert_eq!((consumer.function.as_str(), consumer.table.as_str()), ("erase", "gatehouse-streamed"));
        assert_eq!(consumer.stream, stream.arn);
    }
    assert_eq!((least.name.as_str(), least.start, least.batch_size), ("Least", StartingPosition::TrimHorizon, 100));
    assert_eq!((least.filters.len(), least.retries, least.bisects, least.on_failure), (0, None, false, None));
    assert_eq!((most.name.as_str(), most.start, most.batch_size), ("Most", StartingPosition::Latest, 10));
    assert_eq!((most.filters.len(), most.retries, most.bisects), (1, Some(3), true));
    assert_eq!(most.on_failure.as_deref(), Some("arn:aws:sqs:us-east-1:123456789012:gatehouse-Failures"));
}

#[test]
fn streams_that_cannot_be_told_of_are_named() {
    for (from, to, place) in [
        ("StreamSpecification: {StreamViewType: KEYS_ONLY}", "", "Least.Properties.Stream: `Streamed` has no Stream"),
        ("StreamViewType: ", "Type: ", "Streamed.Properties.StreamSpecification.StreamViewType"),
        ("!GetAtt Streamed.StreamArn, S", "another, S", "Least.Properties.Stream: no table has this stream"),
        ("StartingPosition: LATEST", "StartingPosition: AT_TIMESTAMP", "Most.Properties.StartingPosition"),
        ("BatchSize: 10", "BatchSize: 0", "Most.Properties.BatchSize: this has to be from 1 to 10000"),
        ("BatchSize: 10", "ParallelizationFactor: 10", "Most.Properties.ParallelizationFactor"),
        ("BatchSize: 10", "FunctionResponseTypes: [ReportBatchItemFailures]", "Properties.FunctionResponseTypes"),
        ("prefix", "suffix", "Most.Properties.FilterCriteria.Filters[0].Pattern"),
    ] {
        let error = parse(&format!("{TEMPLATE}{}", STREAM.replace(from, to)), &[]).unwrap_err().to_string();
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
