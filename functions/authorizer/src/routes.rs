//! The scopes that routes need, as the setting `ROUTE_SCOPES` says it: a line for each, such as
//! `GET /users/{username} users:read`. A route that isn't named needs a valid token only.
//!
//! Whether a request is for a named route is answered too often with yes rather than once too rarely: how gateways
//! write and read paths (percent-encoding, slashes at the end, stages and base paths in front) differs, and a path that
//! was missed would be let through. A path that fits several named routes needs the scopes of all.

use std::{borrow::Cow, collections::HashMap, str::FromStr};

use percent_encoding::percent_decode_str;
use shared::scope::Scopes;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The named routes, each with its scopes, by method.
#[derive(Clone, Debug, Default)]
pub struct RouteScopes([Routes; METHODS.len()]);

/// A line of the text can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is wrong in line {line}: {problem}")]
pub struct InvalidRouteScopes {
    /// Its number, from 1.
    pub line: usize,
    /// The problem.
    pub problem: Problem,
}

/// Why a line can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Problem {
    #[error("it must be a method, a path and at least one scope, separated by spaces")]
    Form,
    #[error("the method must be GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS")]
    Method,
    #[error("the path must be as the template writes it: segments of A-Z, a-z, 0-9 and . _ ~ : , @ -, or {{name}}")]
    Path,
    #[error("a scope must be of printable ASCII without \" and \\")]
    Scope,
    #[error("the route is named twice, perhaps in another case")]
    Repeated,
}

/// The named routes that begin with the same segments, by the next one: a look-up goes from segment to segment, and
/// costs the same however many routes there are.
#[derive(Clone, Debug, Default)]
struct Routes {
    /// By the literal, in lower case.
    literals: HashMap<String, Routes>,
    /// Behind `{name}`, whatever the name.
    parameter: Option<Box<Routes>>,
    /// The scopes of the route that ends here.
    end: Option<Scopes>,
    /// The scopes of the route that takes any rest, `{name+}`.
    rest: Option<Scopes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment<'a> {
    Literal(&'a str),
    /// `{name}`, whatever the name.
    Parameter,
    /// `{name+}`, the rest of the path.
    Rest,
}

/// A request, as far as the gateway's event tells it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Requested<'a> {
    pub(crate) method: Option<&'a str>,
    /// The path of the route that the gateway has found, as the template writes it.
    pub(crate) route: Option<&'a str>,
    /// The path as it was sent, perhaps decoded, perhaps with a stage or a base path in front.
    pub(crate) path: Option<&'a str>,
}

impl RouteScopes {
    /// Whether these scopes reach every named route that the request may be for.
    pub(crate) fn are_reached(&self, requested: Requested<'_>, held: &Scopes) -> bool {
        let is_asked = |method: &str| requested.method.is_none_or(|asked| asked.eq_ignore_ascii_case(method));
        METHODS
            .iter()
            .zip(&self.0)
            .filter(|(method, _)| is_asked(method))
            .all(|(_, routes)| routes.are_reached(requested.route, requested.path, held))
    }
}

impl FromStr for RouteScopes {
    type Err = InvalidRouteScopes;

    /// Reads lines; empty ones don't count. The word `none` says that no route needs a scope, because an empty setting
    /// counts as one that was forgotten.
    fn from_str(text: &str) -> Result<Self, InvalidRouteScopes> {
        let mut routes = Self::default();
        let lines = if text.trim() == "none" { "" } else { text };
        for (at, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            routes.add(line).map_err(|problem| InvalidRouteScopes { line: at + 1, problem })?;
        }
        Ok(routes)
    }
}

impl RouteScopes {
    fn add(&mut self, line: &str) -> Result<(), Problem> {
        let mut words = line.split_whitespace();
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return Err(Problem::Form) };
        let mut methods = METHODS.iter().zip(&mut self.0);
        let (_, routes) = methods.find(|(known, _)| **known == method).ok_or(Problem::Method)?;
        let place = routes.place(&segments(path).ok_or(Problem::Path)?);
        let scopes = Scopes::from_tokens(words).map_err(|_| Problem::Scope)?;
        if scopes.is_empty() {
            return Err(Problem::Form);
        }
        if place.is_some() {
            return Err(Problem::Repeated);
        }
        *place = Some(scopes);
        Ok(())
    }
}

impl Routes {
    /// Where the scopes of this route belong.
    fn place(&mut self, route: &[Segment<'_>]) -> &mut Option<Scopes> {
        match route {
            [] => &mut self.end,
            [Segment::Rest, ..] => &mut self.rest,
            [Segment::Parameter, after @ ..] => self.parameter.get_or_insert_default().place(after),
            [Segment::Literal(text), after @ ..] => {
                self.literals.entry(text.to_ascii_lowercase()).or_default().place(after)
            }
        }
    }

    /// The scopes of the route that the gateway writes so.
    fn scopes(&self, route: &[Segment<'_>]) -> Option<&Scopes> {
        match route {
            [] => self.end.as_ref(),
            [Segment::Rest, ..] => self.rest.as_ref(),
            [Segment::Parameter, after @ ..] => self.parameter.as_ref()?.scopes(after),
            [Segment::Literal(text), after @ ..] => self.literal(text)?.scopes(after),
        }
    }

    fn literal(&self, text: &str) -> Option<&Self> {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.literals.get(&text.to_ascii_lowercase())
        } else {
            self.literals.get(text)
        }
    }

    /// Whether every route is reached that the gateway's own one or the path may be.
    fn are_reached(&self, route: Option<&str>, path: Option<&str>, held: &Scopes) -> bool {
        let found = route.and_then(segments);
        // Behind a route that takes any path, the function itself tells paths apart, and nobody knows how.
        let is_certain = found.as_ref().is_some_and(|found| !found.contains(&Segment::Rest));
        is_reached(found.and_then(|found| self.scopes(&found)), held)
            && match path {
                Some(path) => self.are_reached_by_path(path, is_certain, held),
                None => is_certain || self.are_all_reached(held),
            }
    }

    /// Whether every route is reached that the path is one of; where `whole` isn't asked for, also every one that its
    /// end is one of.
    fn are_reached_by_path(&self, path: &str, whole: bool, held: &Scopes) -> bool {
        if !path.contains('%') {
            return self.fits_are_reached(split(path).map(Cow::Borrowed), whole, held);
        }
        // An encoded slash may count as one or not.
        self.fits_are_reached(split(&decode(path)).map(Cow::Borrowed), whole, held)
            && self.fits_are_reached(split(path).map(decode), whole, held)
    }

    fn fits_are_reached<'p>(
        &self,
        path: impl Iterator<Item = Cow<'p, str>> + Clone,
        whole: bool,
        held: &Scopes,
    ) -> bool {
        if whole {
            return self.fit_is_reached(path, held);
        }
        if path.clone().any(|segment| segment == "." || segment == "..") {
            return self.are_all_reached(held);
        }
        let mut end = path;
        loop {
            if !self.fit_is_reached(end.clone(), held) {
                return false;
            }
            if end.next().is_none() {
                return true;
            }
        }
    }

    /// Whether every route that these segments are one of is reached.
    fn fit_is_reached<'p>(&self, mut path: impl Iterator<Item = Cow<'p, str>> + Clone, held: &Scopes) -> bool {
        let Some(segment) = path.next() else { return is_reached(self.end.as_ref(), held) };
        is_reached(self.rest.as_ref(), held)
            && self.literal(&segment).is_none_or(|behind| behind.fit_is_reached(path.clone(), held))
            && self.parameter.as_ref().is_none_or(|behind| behind.fit_is_reached(path, held))
    }

    fn are_all_reached(&self, held: &Scopes) -> bool {
        [&self.end, &self.rest].into_iter().all(|scopes| is_reached(scopes.as_ref(), held))
            && self.literals.values().chain(self.parameter.as_deref()).all(|behind| behind.are_all_reached(held))
    }
}

/// Whether all scopes of a route are held; there may be no such route.
fn is_reached(needed: Option<&Scopes>, held: &Scopes) -> bool {
    needed.is_none_or(|needed| needed.is_subset(held))
}

/// The segments of a path as it was sent. Empty ones don't count.
fn split(path: &str) -> impl Iterator<Item = &str> + Clone {
    path.split('/').filter(|segment| !segment.is_empty())
}

fn decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// The segments of a path as a template writes it.
fn segments(path: &str) -> Option<Vec<Segment<'_>>> {
    let rest = path.strip_prefix('/')?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let segments = rest.split('/').map(segment).collect::<Option<Vec<_>>>()?;
    let (_, before) = segments.split_last()?;
    (!before.contains(&Segment::Rest)).then_some(segments)
}

fn segment(text: &str) -> Option<Segment<'_>> {
    let is_word = |text: &str, others: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
    };
    if let Some(name) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        let (name, kind) = match name.strip_suffix('+') {
            Some(name) => (name, Segment::Rest),
            None => (name, Segment::Parameter),
        };
        return is_word(name, b"._-").then_some(kind);
    }
    // No `*`, `?` or `$`, which mean something in a policy, and no `%`.
    is_word(text, b"._~:,@-").then_some(Segment::Literal(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a token with each of these scopes alone doesn't reach says which routes a request may be for.
    const USERS: &str = "GET /users users:read\n\n  GET   /users/{username} user:read\nPATCH /users/{username} \
                         users:write audit\nGET / home\nDELETE /files/{path+} files";
    const ALL: &str = "users:read user:read users:write audit home files";

    fn routes(text: &str) -> RouteScopes {
        text.parse().unwrap()
    }

    fn scopes(text: &str) -> Scopes {
        Scopes::parse(text).unwrap()
    }

    /// Every scope but this one.
    fn all_but(left_out: &str) -> Scopes {
        scopes(&ALL.split(' ').filter(|scope| *scope != left_out).collect::<Vec<_>>().join(" "))
    }

    /// The scopes without any one of which the request is denied.
    fn needed(requested: Requested<'_>) -> Vec<&'static str> {
        let routes = routes(USERS);
        assert!(routes.are_reached(requested, &scopes(ALL)));
        let needed: Vec<&str> =
            ALL.split(' ').filter(|scope| !routes.are_reached(requested, &all_but(scope))).collect();
        assert_eq!(routes.are_reached(requested, &Scopes::default()), needed.is_empty());
        needed
    }

    fn serving(method: &str, route: Option<&str>, path: Option<&str>) -> Vec<&'static str> {
        needed(Requested { method: Some(method), route, path })
    }

    #[test]
    fn a_route_is_out_of_reach_unless_all_of_its_scopes_are_held() {
        let reaches = |held: &str| {
            let patch = Requested { method: Some("PATCH"), route: Some("/users/{name}"), path: Some("/users/ann") };
            routes(USERS).are_reached(patch, &scopes(held))
        };
        for held in ["", "users:write", "audit", "users:writer audit", "USERS:WRITE audit", "write audit users:read"] {
            assert!(!reaches(held), "{held}");
        }
        assert!(reaches("users:write audit") && reaches(ALL));
    }

    #[test]
    fn none_and_only_none_says_that_no_route_needs_a_scope() {
        for none in ["none", " none\n"] {
            assert!(routes(none).are_reached(Requested::default(), &Scopes::default()));
        }
        assert!("None".parse::<RouteScopes>().is_err());
    }

    #[test]
    fn a_wrong_line_is_named_with_what_is_wrong() {
        for (line, problem) in [
            ("GET", Problem::Form),
            ("GET /users", Problem::Form),
            ("# GET /users users:read", Problem::Method),
            ("get /users users:read", Problem::Method),
            ("ANY /users users:read", Problem::Method),
            ("GET users users:read", Problem::Path),
            ("GET /users/ users:read", Problem::Path),
            ("GET //users users:read", Problem::Path),
            ("GET /users/* users:read", Problem::Path),
            ("GET /us%65rs users:read", Problem::Path),
            ("GET /users/{} users:read", Problem::Path),
            ("GET /users/{a users:read", Problem::Path),
            ("GET /users/x{a} users:read", Problem::Path),
            ("GET /{all+}/users users:read", Problem::Path),
            ("GET $default users:read", Problem::Path),
            ("GET /users users\"read", Problem::Scope),
            ("GET / home", Problem::Repeated),
            ("PATCH /users/{name} users:write", Problem::Repeated),
            ("GET /Users users:read", Problem::Repeated),
        ] {
            let error = format!("{USERS}\n{line}").parse::<RouteScopes>().unwrap_err();
            assert_eq!(error, InvalidRouteScopes { line: 7, problem }, "{line}");
        }
        // Another method, and a parameter that takes more, are other routes.
        routes(&format!("{USERS}\nPOST / home\nPATCH /users/{{name+}} users:write"));
    }

    #[test]
    fn any_number_of_routes_may_be_named() {
        let many: Vec<_> = (0..5000).map(|n| format!("GET /a-path-of-{n}/{{id}} scope-{n}")).collect();
        let routes = routes(&many.join("\n"));
        let path = "/a-path-of-4321/7";
        let requested = Requested { method: Some("GET"), route: Some("/a-path-of-4321/{id}"), path: Some(path) };
        assert!(routes.are_reached(requested, &scopes("scope-4321")));
        assert!(!routes.are_reached(requested, &scopes("scope-4320")));
    }

    #[test]
    fn the_gateways_own_route_decides_however_the_path_is_written() {
        for path in ["/users", "/users/", "//users", "/%75sers", "/USERS", "/prod/users", "/x"] {
            assert_eq!(serving("GET", Some("/users"), Some(path)), ["users:read"], "{path}");
        }
        for path in ["/users/ann", "/users/ann%40example.com", "/us%65rs/ann/", "/users/a%2Fb", "/users/%2e%2e"] {
            assert_eq!(serving("GET", Some("/users/{name}"), Some(path)), ["user:read"], "{path}");
        }
        assert_eq!(serving("get", Some("/users"), None), ["users:read"]);
        assert_eq!(serving("DELETE", Some("/files/{any+}"), Some("/files/a/b")), ["files"]);
        assert_eq!(serving("GET", Some("/"), Some("/")), ["home"]);
    }

    #[test]
    fn other_routes_are_none_of_the_named_ones() {
        for (method, route, path) in [
            ("GET", "/protected", "/protected"),
            ("DELETE", "/users/{username}", "/users/ann"),
            ("TRACE", "/users/{username}", "/users/ann"),
            ("GET", "/teams/{id}/users", "/teams/1/users"),
            ("GET", "/users/{username}/photo", "/users/ann/photo"),
            ("DELETE", "/files", "/files"),
        ] {
            assert!(serving(method, Some(route), Some(path)).is_empty(), "{method} {route}");
        }
        // But a path that fits one is.
        assert_eq!(serving("GET", Some("/users/me"), Some("/users/me")), ["user:read"]);
        assert_eq!(serving("GET", Some("/people/{id}"), Some("/users")), ["users:read"]);
    }

    #[test]
    fn a_path_that_fits_several_routes_needs_the_scopes_of_all() {
        let text = "GET /a/{x} parameter\nGET /a/b literal\nGET /{all+} rest\nGET /{x}/b other\nGET /a/c another";
        let routes = routes(text);
        let requested = Requested { method: Some("GET"), route: Some("/a/b"), path: Some("/a/b") };
        let all = ["parameter", "literal", "rest", "other"];
        assert!(routes.are_reached(requested, &scopes(&all.join(" "))));
        for left_out in all {
            let held: Vec<_> = all.into_iter().filter(|scope| *scope != left_out).collect();
            assert!(!routes.are_reached(requested, &scopes(&held.join(" "))), "{left_out}");
        }
    }

    #[test]
    fn behind_a_route_for_any_path_the_paths_end_is_enough() {
        for route in [None, Some("$default"), Some("/{proxy+}"), Some("ANY")] {
            for path in [
                "/users",
                "/users/",
                "/prod/users",
                "/v1/%55sers",
                "//users//",
                "/x%2Fusers",
                "/x/../users",
                "/x/%2e%2E/y",
                "/x/./y",
            ] {
                let serving = serving("GET", route, Some(path));
                assert!(serving.contains(&"users:read"), "{route:?} {path} {serving:?}");
            }
            assert!(serving("GET", route, Some("/prod/users/ann")).contains(&"user:read"));
            assert!(serving("DELETE", route, Some("/users/ann")).is_empty());
            // Without a path it may be any.
            assert_eq!(serving("GET", route, None), ["users:read", "user:read", "home"]);
        }
        assert_eq!(needed(Requested::default()), ALL.split(' ').collect::<Vec<_>>());
    }
}
