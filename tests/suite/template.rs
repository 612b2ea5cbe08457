//! What template.yaml says of the functions and the table.

use serde_yaml_ng::Value as Yaml;

use crate::api::{Api, Ring, Setup, root};

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

fn resource(name: &str) -> Yaml {
    let template: Yaml = serde_yaml_ng::from_str(&read("template.yaml")).unwrap();
    template["Resources"][name].clone()
}

/// Every string below a value, with what intrinsic functions are made of.
fn texts(value: &Yaml) -> Vec<String> {
    match value {
        Yaml::String(text) => vec![text.clone()],
        Yaml::Sequence(items) => items.iter().flat_map(texts).collect(),
        Yaml::Mapping(members) => members.values().flat_map(texts).collect(),
        Yaml::Tagged(tagged) => texts(&tagged.value).into_iter().map(|text| format!("{} {text}", tagged.tag)).collect(),
        _ => Vec::new(),
    }
}

/// Environment variables can be read by whoever may look at a function's configuration: they name secrets, and hold none.
#[test]
fn no_environment_variable_holds_a_secret() {
    let template: Yaml = serde_yaml_ng::from_str(&read("template.yaml")).unwrap();
    for (name, parameter) in template["Parameters"].as_mapping().unwrap() {
        // What is too secret to be shown would be shown all the same, in a function's configuration.
        assert!(parameter.get("NoEcho").is_none(), "{name:?} is a secret");
    }
    let globals = &template["Globals"]["Function"];
    let functions = template["Resources"].as_mapping().unwrap().values().map(|resource| &resource["Properties"]);
    let mut variables = 0;
    for properties in functions.chain([globals]) {
        for (name, value) in properties["Environment"]["Variables"].as_mapping().into_iter().flatten() {
            let (name, texts) = (name.as_str().unwrap(), texts(value));
            for text in &texts {
                assert!(!text.contains("{{resolve:"), "{name} is {text}");
                // The secret's name is no secret; its parts are.
                assert!(!text.contains("SigningSecret.") && !text.contains("!GetAtt"), "{name} is {text}");
            }
            match name {
                "SIGNING_KEYS" => assert!(
                    texts == ["!Ref SigningSecret"] || texts == ["!If ReadsSecret", "!If !Ref SigningSecret", "!If "],
                    "{texts:?}"
                ),
                "VERIFYING_KEYS" => assert_eq!(texts, [""]),
                _ => assert!(!name.contains("SECRET") || name.starts_with("AWS_ENDPOINT_URL_"), "{name}"),
            }
            variables += 1;
        }
    }
    assert!(variables > 20);
}

#[tokio::test]
async fn no_function_is_started_with_a_key_in_its_environment() {
    let api = Api::with(Setup { ring: Ring::Rotated, ..Setup::default() }).await;
    api.stack.rotate().await.unwrap();
    api.token().await;
    for function in [
        "login",
        "authorizer",
        "protected",
        "sessions",
        "register",
        "account",
        "users",
        "discovery",
        "rotate-keys",
        "erase",
    ] {
        let environment = api.stack.environment(function).unwrap();
        for (name, value) in environment {
            let value = value.to_string_lossy().into_owned();
            for mark in ["\"kty\"", "\"k\":", "\"d\":", "PRIVATE KEY", "$2b$", "eyJ"] {
                assert!(!value.contains(mark), "{function} has a key in {name}");
            }
        }
    }
}

#[test]
fn the_table_outlives_mistakes() {
    let table = resource("Table");
    let properties = &table["Properties"];
    assert_eq!((&table["DeletionPolicy"], &table["UpdateReplacePolicy"]), (&"Retain".into(), &"Retain".into()));
    assert_eq!(properties["DeletionProtectionEnabled"], true);
    assert_eq!(properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    assert_eq!(properties["SSESpecification"]["SSEEnabled"], true);
    // Its stream holds keys, and so no hash.
    assert_eq!(properties["StreamSpecification"]["StreamViewType"], "KEYS_ONLY");
}

/// Counts aren't worth a backup, and are gone with the stack; a restored one would only count what is long over.
#[test]
fn counts_are_in_a_table_that_goes_with_the_stack() {
    let table = resource("CountsTable");
    let properties = &table["Properties"];
    assert_eq!((&table["DeletionPolicy"], &table["UpdateReplacePolicy"]), (&"Delete".into(), &"Delete".into()));
    assert_eq!(properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], false);
    assert_eq!(properties["SSESpecification"]["SSEEnabled"], true);
    assert_eq!(properties["TimeToLiveSpecification"], resource("Table")["Properties"]["TimeToLiveSpecification"]);
}

/// A function that counts nothing has neither a right to the counts nor their table's name.
#[test]
fn only_who_counts_knows_the_table_of_counts() {
    let template: Yaml = serde_yaml_ng::from_str(&read("template.yaml")).unwrap();
    let resources = template["Resources"].as_mapping().unwrap();
    let functions = resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function");
    let know = functions.filter(|(_, function)| texts(function).iter().any(|text| text.contains("CountsTable")));
    let know: Vec<&str> = know.map(|(name, _)| name.as_str().unwrap()).collect();
    assert_eq!(know, ["LoginFunction", "AccountFunction", "RegisterFunction"]);
}

#[test]
fn a_flood_of_passwords_can_be_bounded() {
    let concurrency = &resource("LoginFunction")["Properties"]["ReservedConcurrentExecutions"];
    assert_eq!(texts(concurrency), ["!If HasLoginConcurrency", "!If !Ref LoginConcurrency", "!If !Ref AWS::NoValue"]);
    let web_acl = resource("WebAcl");
    assert_eq!(web_acl["Type"], "AWS::WAFv2::WebACLAssociation");
    assert_eq!(texts(&web_acl["Properties"]["WebACLArn"]), ["!Ref WebAclArn"]);
    let methods = &resource("Api")["Properties"]["MethodSettings"][0];
    assert_eq!(texts(&methods["ThrottlingRateLimit"]), ["!Ref ThrottleRate"]);
    // Bodies and headers, and so passwords and tokens, stay out of the gateway's log.
    assert_eq!(methods["DataTraceEnabled"], false);
}

/// What costs by the month beside the alarms and the secret is there only for who asks for it.
#[test]
fn what_is_dear_by_the_month_is_off_by_default() {
    let template: Yaml = serde_yaml_ng::from_str(&read("template.yaml")).unwrap();
    let default = |name: &str| template["Parameters"][name]["Default"].as_str().unwrap();
    assert_eq!(["Alarms", "CloudWatchDashboard", "DetailedMetrics"].map(default), ["on", "off", "off"]);
    assert_eq!(texts(&template["Conditions"]["HasDetailedMetrics"]), ["!Equals !Ref DetailedMetrics", "!Equals on"]);
    let Yaml::Tagged(detailed) = &resource("Api")["Properties"]["MethodSettings"][0]["MetricsEnabled"] else {
        panic!("methods are measured whatever the parameters are");
    };
    assert_eq!(detailed.value, Yaml::Sequence(vec!["HasDetailedMetrics".into(), true.into(), false.into()]));
    assert_eq!(resource("Dashboard")["Condition"], "HasDashboard");
}

/// The issuer of a stack without the parameter is what `Issuer::for_request` makes of the gateway's domain and stage.
#[test]
fn other_stacks_can_import_what_the_examples_import() {
    let template: Yaml = serde_yaml_ng::from_str(&read("template.yaml")).unwrap();
    let api = "!Sub https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/prod";
    let issuer = &template["Outputs"]["Issuer"]["Value"];
    assert_eq!(texts(issuer), ["!If HasIssuer", "!If !Ref Issuer", &format!("!If {api}")]);
    assert_eq!(texts(&template["Outputs"]["ApiUrl"]["Value"]), [api]);
    let exports: Vec<_> = template["Outputs"]
        .as_mapping()
        .unwrap()
        .values()
        .flat_map(|output| texts(&output["Export"]))
        .map(|name| name.strip_prefix("!Sub ${AWS::StackName}-").unwrap().to_owned())
        .collect();
    assert_eq!(exports, ["issuer", "audience", "key-set-url", "authorizer-arn", "api-id"]);
    let mut imports = 0;
    for (example, before) in [
        ("rest-api-jwt/template.yaml", "${Gatehouse}-"),
        ("http-api-jwt/template.yaml", "${Gatehouse}-"),
        ("authorizer-of-another-stack/template.yaml", "${Gatehouse}-"),
        ("cdk/app.ts", "importValue(\"gatehouse-"),
    ] {
        for rest in read(&format!("examples/{example}")).split(before).skip(1) {
            let name = rest.split(|end: char| end != '-' && !end.is_ascii_lowercase()).next().unwrap();
            assert!(exports.iter().any(|export| export == name), "{example} imports {name}");
            imports += 1;
        }
    }
    assert_eq!(imports, 8);
}

/// The alias is what the routes call, and what `CodeDeploy` moves; both alarms are there to take a bad version back.
#[test]
fn a_bad_version_is_taken_back_by_its_alarms() {
    let template: Yaml = serde_yaml_ng::from_str(&read("template.yaml")).unwrap();
    let function = &template["Globals"]["Function"];
    assert_eq!(function["AutoPublishAlias"], "live");
    // Without it a new value of a parameter would wait for new code.
    assert_eq!(function["AutoPublishAliasAllProperties"], true);
    let preference = &function["DeploymentPreference"];
    assert_eq!(texts(&preference["Enabled"]), ["!Ref CanaryDeployment"]);
    let alarms = ["!If HasDeploymentAlarms", "!If !Ref ServerErrorsAlarm", "!If !Ref OutagesAlarm"];
    assert_eq!(texts(&preference["Alarms"]), alarms);
    // They are there for it though all others are off.
    let has_alarms = texts(&template["Conditions"]["HasDeploymentAlarms"]);
    let either = ["!Or !Equals !Ref Alarms", "!Or !Equals on", "!Or !Equals !Ref CanaryDeployment", "!Or !Equals true"];
    assert_eq!(has_alarms, either);
}

/// What a function calls one after the other, at the longest that each takes, ends before Lambda ends it: a caller gets
/// the function's 503, and never the gateway's 504.
#[test]
fn retries_end_before_the_function_does() {
    let (call, hash) = (shared::aws::sdk::CALL_TIMEOUT, std::time::Duration::from_secs(2));
    // However often rows are put off.
    assert!(shared::store::LOOK_UP_TIMEOUT <= call);
    for (function, calls, guesses, hashes) in [
        // Keys, user with counts, the renewed hash, the session beside the note of the right password, the user again.
        ("LoginFunction", 5, 1, 2),
        // The rows of the keys, the secret with HS256, and the session read twice.
        ("AuthorizerFunction", 4, 0, 0),
        // The count, and the name, the hash and the account.
        ("RegisterFunction", 4, 0, 1),
        // The user with counts, the note, the change, and listing and removing the other sessions.
        ("AccountFunction", 5, 1, 2),
    ] {
        let longest = call * calls + shared::store::COUNTING_TIMEOUT * guesses + hash * hashes;
        let timeout = resource(function)["Properties"]["Timeout"].as_u64().unwrap();
        assert!(longest.as_secs() < timeout, "{function}: {longest:?} of {timeout} s");
        // A REST API waits for 29 seconds.
        assert!(timeout < 29, "{function}");
    }
    assert_eq!(resource("LoginFunction")["Properties"]["Timeout"], crate::outage::LOGIN_TIMEOUT.as_secs());
}
