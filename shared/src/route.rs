//! Routes: method and path template → what a request needs and costs.

mod tree;

use serde::Serialize;

use crate::permission::Permission;
use crate::wire;

use self::tree::{Node, Segment};

/// The most routes an API may have.
pub const MAX_ROUTES: usize = 1000;
/// The highest cost of a route, in units.
pub const MAX_COST: u32 = 100_000;
/// The longest method of a route, in characters.
pub const MAX_METHOD: usize = 32;
/// The longest template of a path, in characters.
pub const MAX_TEMPLATE: usize = 512;
const ANY_METHOD: &str = "*";

/// One row of an API's routes table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// An HTTP method in upper case, or `*`.
    pub method: String,
    /// `/v1/customers/{customerId}`. A parameter may have text around it in its segment (`{id}:archive`); a last segment
    /// `{*rest}` takes all that follows. The narrowest template that fits a path is its own.
    pub path: String,
    /// What a key must hold; `None`: any key of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
    /// Units that a request takes from every window.
    pub cost: u32,
    /// The path parameter that names the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_param: Option<String>,
    /// The path parameter that names the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceParam>,
}

wire!(Route {
    method: "method",
    path: "path",
    permission: "permission",
    cost: "cost" or 1,
    account_param: "accountParam",
    resource: "resource",
});

/// Which path parameter names a resource, and of what kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceParam {
    /// The kind of a `kind:id` scope.
    pub kind: String,
    /// The path parameter's name.
    pub param: String,
}

wire!(ResourceParam {
    kind: "kind",
    param: "param"
});

/// Why a routes table can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("route {index}: {fault}")]
pub struct RouteError {
    /// The row, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub fault: RouteFault,
}

/// What is wrong with a row of a routes table. A value and not a text, so that the Worker, which tells nobody, carries no words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteFault {
    /// Over [`MAX_ROUTES`].
    #[error("more than {MAX_ROUTES} routes")]
    TooMany,
    /// Names a parameter that the path lacks.
    #[error("accountParam names no parameter of the path")]
    AccountParam,
    /// Names a parameter that the path lacks.
    #[error("resource.param names no parameter of the path")]
    ResourceParam,
    /// The same template with other names.
    #[error("a path of the same form stands above, with other names for its parameters")]
    OtherNames,
    /// The same row again.
    #[error("the same method and path stand above already")]
    Twice,
    /// No method.
    #[error("the method is an HTTP method in upper case, or *")]
    Method,
    /// No path.
    #[error("the path begins with / and has at most {MAX_TEMPLATE} characters")]
    Path,
    /// Would match nothing.
    #[error(
        "the path is written decoded, without empty or dot segments and without a slash at the end"
    )]
    Form,
    /// Out of bounds.
    #[error("the cost is 1 to {MAX_COST} units")]
    Cost,
    /// No kind.
    #[error("resource.kind is lower case letters, digits, - and _")]
    Kind,
    /// Something after a rest.
    #[error("{{*…}} stands at the end")]
    RestNotLast,
    /// A name twice.
    #[error("a parameter's name stands in the path twice")]
    SameName,
    /// An open brace alone.
    #[error("a }} is missing")]
    OpenBrace,
    /// Several parameters in a segment.
    #[error("a segment has one parameter, and braces and stars for nothing else")]
    Segment,
    /// No name, or a star elsewhere.
    #[error("a parameter is {{name}}, or {{*name}} at the end")]
    Param,
}

/// A compiled routes table.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    paths: Node,
    /// For each distinct path: its routes.
    at: Vec<Vec<Row>>,
}

#[derive(Debug, Clone)]
struct Row {
    route: Route,
    account: Option<Place>,
    resource: Option<Place>,
}

/// Where in a path a parameter stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    segment: usize,
    /// How much text stands around it in its segment, in bytes.
    before: usize,
    after: usize,
}

impl Place {
    fn of(name: &str, segments: &[Segment<'_>]) -> Option<Self> {
        segments
            .iter()
            .enumerate()
            .find_map(|(segment, s)| match s {
                Segment::Param {
                    before,
                    name: n,
                    after,
                } if *n == name => Some(Self {
                    segment,
                    before: before.len(),
                    after: after.len(),
                }),
                _ => None,
            })
    }

    fn value<'a>(&self, path: &'a str) -> Option<&'a str> {
        let mut rest = path.strip_prefix('/')?;
        for _ in 0..self.segment {
            rest = tree::first_segment(rest).1?;
        }
        let (segment, _) = tree::first_segment(rest);
        segment.get(self.before..segment.len().checked_sub(self.after)?)
    }
}

/// What the table says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// A route, with what the path named.
    Found(Matched<'a>),
    /// The path is known, with other methods: those are named, for `Allow`.
    OtherMethods(Vec<String>),
    /// No route has this path.
    None,
}

/// A route and what its parameters hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched<'a> {
    /// The route.
    pub route: &'a Route,
    /// The account named in the path.
    pub account: Option<&'a str>,
    /// The resource named in the path: kind and id.
    pub resource: Option<(&'a str, &'a str)>,
}

impl RouteTable {
    /// Checks and compiles the rows.
    ///
    /// # Errors
    /// [`RouteError`] for the first bad row: method, path template, cost, a parameter that the path lacks,
    /// a row given twice, or two templates that differ in nothing but their parameters' names.
    pub fn compile(routes: &[Route]) -> Result<Self, RouteError> {
        let mut table = Self::default();
        for (index, route) in routes.iter().enumerate() {
            let fail = |fault| RouteError { index, fault };
            if index >= MAX_ROUTES {
                return Err(fail(RouteFault::TooMany));
            }
            check(route).map_err(fail)?;
            table.add(route).map_err(fail)?;
        }
        Ok(table)
    }

    fn add(&mut self, route: &Route) -> Result<(), RouteFault> {
        let segments = tree::segments(&route.path)?;
        let place = |name: Option<&String>, lacking| match name {
            Some(name) => Place::of(name, &segments).map(Some).ok_or(lacking),
            None => Ok(None),
        };
        let row = Row {
            account: place(route.account_param.as_ref(), RouteFault::AccountParam)?,
            resource: place(
                route.resource.as_ref().map(|r| &r.param),
                RouteFault::ResourceParam,
            )?,
            route: route.clone(),
        };
        let at = self.paths.insert(&segments, self.at.len());
        let Some(rows) = self.at.get_mut(at) else {
            self.at.push(vec![row]);
            return Ok(());
        };
        if rows.iter().any(|r| r.route.path != route.path) {
            return Err(RouteFault::OtherNames);
        }
        if rows.iter().any(|r| r.route.method == route.method) {
            return Err(RouteFault::Twice);
        }
        rows.push(row);
        Ok(())
    }

    /// Finds the route of a request. `path` is in [`crate::path::canonical`] form. HEAD is served by a GET route.
    pub fn lookup<'a>(&'a self, method: &str, path: &'a str) -> Lookup<'a> {
        let inner = path.strip_prefix('/').filter(|inner| !inner.is_empty());
        let found = self.paths.find(inner).and_then(|at| self.at.get(at));
        let Some(rows) = found else {
            return Lookup::None;
        };
        let of = |wanted: &str| rows.iter().find(|r| r.route.method == wanted);
        let head_as_get = || (method == "HEAD").then(|| of("GET")).flatten();
        match of(method).or_else(head_as_get).or_else(|| of(ANY_METHOD)) {
            None => Lookup::OtherMethods(rows.iter().map(|r| r.route.method.clone()).collect()),
            Some(row) => Lookup::Found(row.matched(path)),
        }
    }
}

impl Row {
    fn matched<'a>(&'a self, path: &'a str) -> Matched<'a> {
        let value = |place: Option<Place>| place.and_then(|place| place.value(path));
        let kind = self.route.resource.as_ref().map(|r| r.kind.as_str());
        Matched {
            route: &self.route,
            account: value(self.account),
            resource: kind.zip(value(self.resource)),
        }
    }
}

fn check(route: &Route) -> Result<(), RouteFault> {
    let method_fits = route.method == ANY_METHOD
        || ((1..=MAX_METHOD).contains(&route.method.len())
            && route
                .method
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b == b'-'));
    if !method_fits {
        return Err(RouteFault::Method);
    }
    if !route.path.starts_with('/') || route.path.len() > MAX_TEMPLATE {
        return Err(RouteFault::Path);
    }
    // The literal part must be in the form that requests are brought to, or it could never match.
    let literal = route.path.replace(['{', '}', '*'], "");
    if crate::path::canonical(&literal).ok().as_deref() != Some(literal.as_str()) {
        return Err(RouteFault::Form);
    }
    if !(1..=MAX_COST).contains(&route.cost) {
        return Err(RouteFault::Cost);
    }
    let is_kind = |r: &ResourceParam| crate::resource::is_kind(&r.kind);
    if !route.resource.as_ref().is_none_or(is_kind) {
        return Err(RouteFault::Kind);
    }
    Ok(())
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
