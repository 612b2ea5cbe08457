//! The layers of `shared` and the functions: each imports only what stands below it, and use-cases know no HTTP.

use std::path::{Path, PathBuf};

use crate::api::root;

/// A layer's folder, what of this crate it may name beside itself, and what it may not name at all.
struct Layer {
    folder: &'static str,
    below: &'static [&'static str],
    forbidden: &'static [&'static str],
}

/// What knows HTTP, Lambda or the environment.
const EDGE: [&str; 5] = ["lambda_http", "lambda_runtime", "http::", "axum", "std::env"];
const AWS: [&str; 5] = ["aws_config", "aws_types", "aws_sdk_dynamodb", "aws_sdk_secretsmanager", "aws_smithy"];

const LAYERS: [Layer; 5] = [
    Layer {
        folder: "values",
        below: &[],
        forbidden: &["lambda_", "http::", "axum", "std::env", "aws_config", "aws_types", "aws_sdk"],
    },
    Layer { folder: "store", below: &["values"], forbidden: &EDGE },
    Layer { folder: "aws", below: &["values", "store"], forbidden: &EDGE },
    Layer { folder: "use_cases", below: &["values", "store", "aws"], forbidden: &EDGE },
    Layer { folder: "lambda", below: &["values", "store", "aws", "use_cases", "routes"], forbidden: &[] },
];

/// What every layer may name: the modules at the top that are none.
const TOP: [&str; 2] = ["BoxError", "causes"];

#[derive(Debug, PartialEq, Eq)]
struct Breach {
    line: String,
    names: String,
}

/// The code of a file without its comments and its tests' own code.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The first segments of the paths after `crate::`, a list in braces taken apart.
fn named_in_crate(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        let rest = &code[at + found.len()..];
        // `shared::crate::` is no path; `$crate::` is one of a macro.
        match rest.strip_prefix('{') {
            Some(list) => named.extend(firsts(list)),
            None => named.push(first(rest)),
        }
    }
    named
}

fn first(path: &str) -> String {
    path.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect()
}

/// The first segments of the items of a list, up to its closing brace.
fn firsts(list: &str) -> Vec<String> {
    let (mut depth, mut items, mut item) = (0, Vec::new(), String::new());
    for char in list.chars() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            _ => {}
        }
        item.push(char);
    }
    items.push(item);
    items.iter().map(|item| first(item.trim_start_matches([',', ' ', '\n']))).filter(|name| !name.is_empty()).collect()
}

fn breaches(layer: &Layer, text: &str) -> Vec<Breach> {
    let code = code(text);
    let mut breaches: Vec<Breach> = named_in_crate(&code)
        .into_iter()
        .filter(|name| name != layer.folder && !TOP.contains(&name.as_str()) && !layer.below.contains(&name.as_str()))
        .map(|names| Breach { line: String::new(), names })
        .collect();
    for line in code.lines() {
        for forbidden in layer.forbidden.iter().filter(|forbidden| line.contains(**forbidden)) {
            breaches.push(Breach { line: line.trim().to_owned(), names: (*forbidden).to_owned() });
        }
    }
    breaches
}

/// The Rust files of a layer: its folder, and the file beside it that has its name.
fn files(layer: &Layer) -> Vec<PathBuf> {
    fn below(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // Unit tests in files of their own.
            if path.is_dir() && !path.ends_with("tests") {
                below(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                files.push(path);
            }
        }
    }
    let shared = root().join("shared/src");
    let mut files = vec![shared.join(format!("{}.rs", layer.folder))];
    below(&shared.join(layer.folder), &mut files);
    files
}

#[test]
fn no_layer_names_one_that_stands_above_it() {
    for layer in &LAYERS {
        let files = files(layer);
        assert!(files.len() > 3, "{} has no files", layer.folder);
        for file in files {
            let found = breaches(layer, &std::fs::read_to_string(&file).unwrap());
            assert!(found.is_empty(), "{}: {found:?}", file.display());
        }
    }
}

#[test]
fn every_file_of_shared_is_in_a_layer() {
    let known = ["lib.rs", "error.rs", "routes.rs"];
    for entry in std::fs::read_dir(root().join("shared/src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let layer = name.strip_suffix(".rs").unwrap_or(&name);
        assert!(known.contains(&name.as_str()) || LAYERS.iter().any(|one| one.folder == layer), "{name}");
    }
}

#[test]
fn a_breach_is_noticed() {
    let [values, store, _, use_cases, _] = &LAYERS;
    for (layer, text, named) in [
        (values, "use crate::store::Store;", "store"),
        (values, "fn f() { crate::lambda::log() }", "lambda"),
        (store, "use crate::{\n    BoxError,\n    use_cases::{a, b},\n    values::time::Clock,\n};", "use_cases"),
        (use_cases, "use crate::{causes, lambda::Call};", "lambda"),
        (use_cases, "use lambda_http::Request;", "lambda_http"),
        (use_cases, "fn f() { std::env::var(\"X\"); }", "std::env"),
        (use_cases, "use http::StatusCode;", "http::"),
        (values, "use aws_sdk_dynamodb::Client;", "aws_sdk"),
    ] {
        let found = breaches(layer, text);
        assert!(found.iter().any(|breach| breach.names == named), "{text}: {found:?}");
    }
    assert!(
        breaches(use_cases, "// crate::lambda\nuse crate::{BoxError, store::Store, values::time::Clock};").is_empty()
    );
}

#[test]
fn functions_name_neither_each_other_nor_the_sdk() {
    let names: Vec<String> = std::fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().replace('-', "_"))
        .collect();
    for entry in std::fs::read_dir(root().join("functions")).unwrap() {
        let folder = entry.unwrap().path();
        let own = folder.file_name().unwrap().to_str().unwrap().replace('-', "_");
        for file in std::fs::read_dir(folder.join("src")).unwrap() {
            let path = file.unwrap().path();
            let code = code(&std::fs::read_to_string(&path).unwrap());
            for line in code.lines().filter(|line| line.trim_start().starts_with("use ")) {
                let crate_named = first(line.trim_start().trim_start_matches("use "));
                assert!(crate_named == own || !names.contains(&crate_named), "{}: {line}", path.display());
                assert!(!AWS.iter().any(|sdk| crate_named.starts_with(sdk)), "{}: {line}", path.display());
            }
            assert!(!code.contains("std::env"), "{} reads the environment itself", path.display());
        }
    }
}
