//! The scopes that routes need, as the setting `ROUTE_SCOPES` says it: a line for each, such as
//! `GET /users/{username} users:read`. A route that isn't named needs a valid token only.
//!
//! Whether a request is for a named route is answered too often with yes rather than once too rarely: how gateways
//! write and read paths (percent-encoding, slashes at the end, stages and base paths in front) differs, and a path that
//! was missed would be let through. A path that fits several named routes needs the scopes of all.

use std::str::FromStr;

use percent_encoding::percent_decode_str;
use shared::scope::Scopes;

/// The most that the policies may take up, in bytes: API Gateway takes one of 8 KB.
const POLICY: usize = 7 * 1024;
/// About what a policy spends on each route beside its method and path: the ARN of API and stage.
const POLICY_OF_A_ROUTE: usize = 100;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The named routes, each with its scopes.
#[derive(Clone, Debug, Default)]
pub struct RouteScopes(Vec<Route>);

/// The text names no routes with scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRouteScopes {
    /// A line is wrong.
    #[error("is wrong in line {line}: {problem}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// The problem.
        problem: Problem,
    },
    /// There are more routes than a policy can deny.
    #[error("names more routes than an authorizer's policy of 8 KB has room for")]
    TooMany,
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
    #[error("the route is named twice")]
    Repeated,
}

#[derive(Clone, Debug)]
pub(crate) struct Route {
    method: String,
    segments: Vec<Segment>,
    scopes: Scopes,
    /// See [`Route::pattern`].
    pattern: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
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
    /// The routes that these scopes don't reach.
    pub(crate) fn out_of_reach(&self, scopes: &Scopes) -> Vec<&Route> {
        self.0.iter().filter(|route| !route.scopes.is_subset(scopes)).collect()
    }
}

impl FromStr for RouteScopes {
    type Err = InvalidRouteScopes;

    /// Reads lines; empty ones don't count. The word `none` says that no route needs a scope, because an empty setting
    /// counts as one that was forgotten.
    fn from_str(text: &str) -> Result<Self, InvalidRouteScopes> {
        let mut routes: Vec<Route> = Vec::new();
        let lines = if text.trim() == "none" { "" } else { text };
        for (at, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |problem| InvalidRouteScopes::Line { line: at + 1, problem };
            let route = Route::parse(line).map_err(wrong)?;
            if routes.iter().any(|other| other.method == route.method && other.segments == route.segments) {
                return Err(wrong(Problem::Repeated));
            }
            routes.push(route);
        }
        let size: usize = routes.iter().map(|route| route.pattern().len() + POLICY_OF_A_ROUTE).sum();
        if size > POLICY { Err(InvalidRouteScopes::TooMany) } else { Ok(Self(routes)) }
    }
}

impl Route {
    fn parse(line: &str) -> Result<Self, Problem> {
        let mut words = line.split_whitespace();
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return Err(Problem::Form) };
        if !METHODS.contains(&method) {
            return Err(Problem::Method);
        }
        let segments = segments(path).ok_or(Problem::Path)?;
        let scopes = Scopes::from_tokens(words).map_err(|_| Problem::Scope)?;
        if scopes.is_empty() {
            return Err(Problem::Form);
        }
        let pattern = pattern(method, &segments);
        Ok(Self { method: method.to_owned(), segments, scopes, pattern })
    }

    /// The route as the end of an ARN: `GET/users/*`. A `*` also stands for several segments, so that a denial may
    /// reach further than the route.
    pub(crate) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether the request may be one for this route.
    pub(crate) fn may_serve(&self, requested: Requested<'_>) -> bool {
        if requested.method.is_some_and(|method| !method.eq_ignore_ascii_case(&self.method)) {
            return false;
        }
        let found = requested.route.and_then(segments);
        let is_found = found.as_ref().is_some_and(|found| *found == self.segments);
        // Behind a route that takes any path, the function itself tells paths apart, and nobody knows how.
        let is_certain = found.is_some_and(|found| !found.contains(&Segment::Rest));
        is_found || requested.path.map_or(!is_certain, |path| self.fits(path, is_certain))
    }

    /// Whether the path is one of this route's; where `whole` isn't asked for, also whether its end is.
    fn fits(&self, path: &str, whole: bool) -> bool {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let split = |path: &str| -> Vec<String> {
            path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
        };
        // An encoded slash may count as one or not.
        let (after, before) = (split(&decode(path)), split(path).iter().map(|segment| decode(segment)).collect());
        [after, before].iter().any(|path: &Vec<String>| {
            let has_dots = path.iter().any(|segment| segment == "." || segment == "..");
            let mut ends = (0..=path.len()).map(|from| &path[from..]);
            if whole { self.fits_segments(path) } else { has_dots || ends.any(|end| self.fits_segments(end)) }
        })
    }

    fn fits_segments(&self, path: &[String]) -> bool {
        let is_open = self.segments.last() == Some(&Segment::Rest);
        let length_fits = if is_open { path.len() >= self.segments.len() } else { path.len() == self.segments.len() };
        length_fits
            && self.segments.iter().zip(path).all(|(segment, found)| match segment {
                Segment::Literal(text) => text.eq_ignore_ascii_case(found),
                Segment::Parameter | Segment::Rest => true,
            })
    }
}

/// The segments of a path as a template writes it.
fn segments(path: &str) -> Option<Vec<Segment>> {
    let rest = path.strip_prefix('/')?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let segments = rest.split('/').map(segment).collect::<Option<Vec<_>>>()?;
    let (_, before) = segments.split_last()?;
    (!before.contains(&Segment::Rest)).then_some(segments)
}

fn segment(text: &str) -> Option<Segment> {
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
    is_word(text, b"._~:,@-").then(|| Segment::Literal(text.to_owned()))
}

fn pattern(method: &str, segments: &[Segment]) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::Literal(text) => text.clone(),
        Segment::Parameter | Segment::Rest => "*".to_owned(),
    };
    format!("{method}/{}", segments.iter().map(segment).collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "GET /users users:read\n\n  GET   /users/{username} users:read\nPATCH /users/{username} \
                         users:write audit\nGET / home\nDELETE /files/{path+} files";

    fn routes(text: &str) -> RouteScopes {
        text.parse().unwrap()
    }

    fn scopes(text: &str) -> Scopes {
        Scopes::parse(text).unwrap()
    }

    fn denied(held: &str) -> Vec<String> {
        routes(USERS).out_of_reach(&scopes(held)).iter().map(|route| route.pattern().to_owned()).collect()
    }

    #[test]
    fn a_route_is_out_of_reach_unless_all_of_its_scopes_are_held() {
        let all = ["GET/users", "GET/users/*", "PATCH/users/*", "GET/", "DELETE/files/*"];
        assert_eq!(denied(""), all);
        assert_eq!(denied("users:reader USERS:READ read"), all);
        assert_eq!(denied("users:read home files"), ["PATCH/users/*"]);
        assert_eq!(denied("users:read home files users:write"), ["PATCH/users/*"]);
        assert!(denied("users:read home files users:write audit").is_empty());
    }

    #[test]
    fn none_and_only_none_says_that_no_route_needs_a_scope() {
        assert!(routes("none").out_of_reach(&Scopes::default()).is_empty());
        assert!(routes(" none\n").out_of_reach(&Scopes::default()).is_empty());
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
        ] {
            let error = format!("{USERS}\n{line}").parse::<RouteScopes>().unwrap_err();
            assert_eq!(error, InvalidRouteScopes::Line { line: 7, problem }, "{line}");
        }
        // Another method, and a parameter that takes more, are other routes.
        routes(&format!("{USERS}\nPOST / home\nPATCH /users/{{name+}} users:write"));
    }

    #[test]
    fn more_routes_than_a_policy_takes_are_refused() {
        let many =
            |count: usize| (0..count).map(|n| format!("GET /a-path-of-{n} scope")).collect::<Vec<_>>().join("\n");
        routes(&many(50));
        assert_eq!(many(70).parse::<RouteScopes>().unwrap_err(), InvalidRouteScopes::TooMany);
    }

    /// The named routes that this request may be for.
    fn serving(method: &str, route: Option<&str>, path: Option<&str>) -> Vec<String> {
        let requested = Requested { method: Some(method), route, path };
        let all = routes(USERS);
        let serving = all.0.iter().filter(|named| named.may_serve(requested));
        serving.map(|route| route.pattern().to_owned()).collect()
    }

    #[test]
    fn the_gateways_own_route_decides_however_the_path_is_written() {
        for path in ["/users", "/users/", "//users", "/%75sers", "/USERS", "/prod/users", "/x"] {
            assert_eq!(serving("GET", Some("/users"), Some(path)), ["GET/users"], "{path}");
        }
        for path in ["/users/ann", "/users/ann%40example.com", "/us%65rs/ann/", "/users/a%2Fb", "/users/%2e%2e"] {
            assert_eq!(serving("GET", Some("/users/{name}"), Some(path)), ["GET/users/*"], "{path}");
        }
        assert_eq!(serving("get", Some("/users"), None), ["GET/users"]);
        assert_eq!(serving("DELETE", Some("/files/{any+}"), Some("/files/a/b")), ["DELETE/files/*"]);
        assert_eq!(serving("GET", Some("/"), Some("/")), ["GET/"]);
    }

    #[test]
    fn other_routes_are_none_of_the_named_ones() {
        for (method, route, path) in [
            ("GET", "/protected", "/protected"),
            ("DELETE", "/users/{username}", "/users/ann"),
            ("GET", "/teams/{id}/users", "/teams/1/users"),
            ("GET", "/users/{username}/photo", "/users/ann/photo"),
            ("GET", "/Users", "/x"),
        ] {
            assert!(serving(method, Some(route), Some(path)).is_empty(), "{method} {route}");
        }
        // But a path that fits one is, as for a policy.
        assert_eq!(serving("GET", Some("/users/me"), Some("/users/me")), ["GET/users/*"]);
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
                assert!(serving.contains(&"GET/users".to_owned()), "{route:?} {path} {serving:?}");
            }
            assert!(serving("GET", route, Some("/prod/users/ann")).contains(&"GET/users/*".to_owned()));
            assert!(serving("DELETE", route, Some("/users/ann")).is_empty());
            // Without a path it may be any.
            assert_eq!(serving("GET", route, None), ["GET/users", "GET/users/*", "GET/"]);
        }
        let unknown = Requested::default();
        assert!(routes(USERS).0.iter().all(|route| route.may_serve(unknown)));
    }
}
