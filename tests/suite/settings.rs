//! The settings: each stands once in code, and template.yaml and docs/settings.md say the same of it.

use serde_yaml_ng::Value as Yaml;
use shared::lambda::settings::{ALL, Description};

use crate::api::root;

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

fn parameter(name: &str) -> Yaml {
    let template: Yaml = serde_yaml_ng::from_str(&read("template.yaml")).unwrap();
    let parameter = template["Parameters"][name].clone();
    assert!(!parameter.is_null(), "template.yaml has no parameter {name}");
    parameter
}

fn text(value: &Yaml) -> String {
    match value {
        Yaml::String(text) => text.clone(),
        Yaml::Number(number) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

fn described(with_parameter: bool) -> impl Iterator<Item = &'static Description> {
    ALL.iter().filter(move |setting| setting.parameter.is_some() == with_parameter)
}

#[test]
fn a_parameters_default_is_the_settings() {
    for setting in described(true) {
        let default = text(&parameter(setting.parameter.unwrap())["Default"]);
        assert_eq!(default, setting.default.unwrap_or_default(), "{}", setting.variable);
    }
}

/// The template refuses before a deployment what the function would refuse at its start, and nothing else.
#[test]
fn a_parameters_range_is_the_settings() {
    for setting in described(true) {
        let parameter = parameter(setting.parameter.unwrap());
        let accepts = |value: &str| (setting.check)(value).is_ok();
        for value in parameter["AllowedValues"].as_sequence().into_iter().flatten() {
            assert!(accepts(&text(value)), "{}: {value:?}", setting.variable);
        }
        let (least, most) = (parameter["MinValue"].as_u64(), parameter["MaxValue"].as_u64());
        assert_eq!(least.is_some(), parameter["Type"] == "Number", "{}", setting.variable);
        let (Some(least), Some(most)) = (least, most) else { continue };
        assert!(accepts(&least.to_string()) && accepts(&most.to_string()), "{}", setting.variable);
        // Cheaper hashes than a deployment may have verify, and make tests fast.
        if setting.variable != "BCRYPT_COST" {
            let below = least.checked_sub(1).is_some_and(|below| accepts(&below.to_string()));
            assert!(!below && !accepts(&(most + 1).to_string()), "{} takes more than the template", setting.variable);
        }
    }
}

#[test]
fn the_template_passes_each_parameter_on() {
    let template = read("template.yaml");
    for setting in described(true) {
        let (variable, parameter) = (setting.variable, setting.parameter.unwrap());
        let passes = template.lines().map(str::trim).any(|line| {
            line.strip_prefix(variable)
                .is_some_and(|rest| rest.starts_with(':') && rest.contains(&format!("!Ref {parameter}")))
        });
        assert!(passes, "no function gets {parameter} as {variable}");
    }
}

/// The cells of the rows of the tables in docs/settings.md, without code marks and links.
fn documented() -> Vec<Vec<String>> {
    let cell = |cell: &str| {
        let cell = cell.trim().replace('`', "");
        // A link's text, without its address.
        let mut plain = String::new();
        let mut rest = cell.as_str();
        while let Some(at) = rest.find("](") {
            plain.push_str(&rest[..at].replace('[', ""));
            rest = rest[at..].find(')').map_or("", |end| &rest[at + end + 1..]);
        }
        plain + rest
    };
    let page = read("docs/settings.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split(" |").map(|text| cell(text.trim_start_matches('|'))).collect()).collect()
}

/// Adds a row for each setting that the page doesn't name.
fn add_missing_rows() {
    let page = read("docs/settings.md");
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    for setting in ALL.iter().filter(|setting| !page.contains(&format!("`{}`", setting.variable))) {
        let default = setting.default.map_or_else(|| "empty".to_owned(), |default| format!("`{default}`"));
        let (heading, row) = match setting.parameter {
            Some(parameter) => (
                "## Parameters",
                format!("| `{parameter}` | `{}` | {default} | {} |", setting.variable, setting.meaning),
            ),
            None => ("## Other variables", format!("| `{}` | {default} | {} |", setting.variable, setting.meaning)),
        };
        let at = lines.iter().position(|line| line == heading).unwrap();
        let end = at + lines[at..].iter().position(|line| line.starts_with("| `")).unwrap();
        lines.insert(end, row);
    }
    std::fs::write(root().join("docs/settings.md"), lines.join("\n") + "\n").unwrap();
}

/// `UPDATE=1 cargo test -p tests --test suite settings::` adds a new setting to the page.
#[test]
fn the_page_of_settings_says_what_the_code_says() {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the test may ask it to mend the page")]
    if std::env::var_os("UPDATE").is_some() {
        add_missing_rows();
    }
    let rows = documented();
    assert!(rows.len() > 30);
    for setting in ALL {
        let meaning = setting.meaning.replace('`', "");
        let row = rows.iter().find(|row| match setting.parameter {
            Some(parameter) => row.len() == 4 && row[0] == parameter && row[1] == setting.variable,
            None => {
                row.len() == 3 && row[0].split(',').next() == Some(setting.variable) && row[2].starts_with(&meaning)
            }
        });
        let Some(row) = row else {
            panic!("docs/settings.md lacks {} as the code has it: {meaning}", setting.variable);
        };
        let default = &row[row.len() - 2];
        let expected = setting.default.unwrap_or(if setting.parameter.is_some() { "empty" } else { "" });
        assert_eq!(default, expected, "{}", setting.variable);
        assert!(row[row.len() - 1].starts_with(&meaning), "{}: {:?}, not {meaning}", setting.variable, row);
    }
}
