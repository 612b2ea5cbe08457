//! Finds the function for a path and a method: the resource first, then its method, as API Gateway
//! does.

use std::collections::BTreeMap;

use super::event::decode;
use crate::cloudformation::{Route, TemplateError};

/// The API's resources.
pub(crate) struct Routes {
    resources: Vec<Resource>,
    /// Leads to a place in `resources`.
    paths: matchit::Router<usize>,
}

/// A path of the API with its methods.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) id: String,
    /// As the template writes it.
    pub(crate) path: String,
    methods: BTreeMap<String, Target>,
}

/// The function that answers a method, and its authorizer.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) function: String,
    pub(crate) authorizer: Option<String>,
}

/// A route found, with the decoded values of its path parameters.
#[derive(Debug)]
pub(crate) struct Matched<'r> {
    pub(crate) resource: &'r Resource,
    pub(crate) target: &'r Target,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Routes {
    /// Lays out the routes.
    ///
    /// # Errors
    /// Two paths that can't be told apart, or a method given twice.
    pub(crate) fn new(routes: &[Route]) -> Result<Self, TemplateError> {
        let mut resources: Vec<Resource> = Vec::new();
        let mut paths = matchit::Router::new();
        for route in routes {
            let place = if let Some(known) = resources.iter().position(|resource| resource.path == route.path) {
                known
            } else {
                let place = resources.len();
                paths
                    .insert(catch_all(&route.path), place)
                    .map_err(|error| TemplateError::new(&route.path, error.to_string()))?;
                let id = format!("resource{place}");
                resources.push(Resource { id, path: route.path.clone(), methods: BTreeMap::new() });
                place
            };
            let target = Target { function: route.function.clone(), authorizer: route.authorizer.clone() };
            if resources[place].methods.insert(route.method.clone(), target).is_some() {
                return Err(TemplateError::new(&route.path, format!("{} stands there twice", route.method)));
            }
        }
        Ok(Self { resources, paths })
    }

    /// The route for a request; `path` as it was sent.
    pub(crate) fn find(&self, method: &str, path: &str) -> Option<Matched<'_>> {
        let found = self.paths.at(path).ok()?;
        let resource = &self.resources[*found.value];
        let target = resource.methods.get(method).or_else(|| resource.methods.get("ANY"))?;
        let parameters = found.params.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect();
        Some(Matched { resource, target, parameters })
    }
}

/// `{proxy+}`, API Gateway's rest of the path, as the router writes it: `{*proxy}`.
fn catch_all(path: &str) -> String {
    match path.strip_suffix("+}").and_then(|path| path.rsplit_once('{')) {
        Some((before, name)) => format!("{before}{{*{name}}}"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(routes: &[(&str, &str)]) -> Result<Routes, TemplateError> {
        let route = |&(method, path): &(&str, &str)| Route {
            path: path.to_owned(),
            method: method.to_owned(),
            function: format!("{method} {path}"),
            authorizer: None,
        };
        Routes::new(&routes.iter().map(route).collect::<Vec<_>>())
    }

    #[test]
    fn the_most_specific_path_wins() {
        let routes = routes(&[
            ("GET", "/"),
            ("GET", "/users"),
            ("GET", "/users/{username}"),
            ("DELETE", "/users/{username}"),
            ("GET", "/users/me"),
            ("ANY", "/files/{proxy+}"),
        ])
        .unwrap();
        let found = |method, path| routes.find(method, path).map(|matched| matched.target.function.as_str());
        assert_eq!(found("GET", "/"), Some("GET /"));
        assert_eq!(found("GET", "/users"), Some("GET /users"));
        assert_eq!(found("GET", "/users/ann"), Some("GET /users/{username}"));
        assert_eq!(found("GET", "/users/me"), Some("GET /users/me"));
        assert_eq!(found("PATCH", "/files/a/b"), Some("ANY /files/{proxy+}"));
        assert_eq!(found("GET", "/files"), None);
        assert_eq!(found("GET", "/users/ann/more"), None);
        assert_eq!(found("POST", "/users"), None);
        // The resource is chosen before the method is looked at.
        assert_eq!(found("DELETE", "/users/me"), None);
    }

    #[test]
    fn parameters_are_decoded() {
        let routes = routes(&[("GET", "/users/{username}"), ("GET", "/files/{proxy+}")]).unwrap();
        assert_eq!(routes.find("GET", "/users/a%2Fb").unwrap().parameters["username"], "a/b");
        assert_eq!(routes.find("GET", "/files/a/b%20c").unwrap().parameters["proxy"], "a/b c");
    }

    #[test]
    fn paths_that_cannot_be_told_apart_are_refused() {
        assert!(routes(&[("GET", "/users/{id}"), ("GET", "/users/{name}")]).is_err());
        assert!(routes(&[("GET", "/users"), ("GET", "/users")]).is_err());
    }
}
