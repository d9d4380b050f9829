//! Routes: method and path template → what a request needs and costs.

use matchit::Router;
use serde::{Deserialize, Serialize};

use crate::permission::Permission;

/// The most routes an API may have.
pub const MAX_ROUTES: usize = 1000;
/// The highest cost of a route, in units.
pub const MAX_COST: u32 = 100_000;
const ANY_METHOD: &str = "*";

/// One row of an API's routes table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// An HTTP method in upper case, or `*`.
    pub method: String,
    /// `/v1/customers/{customerId}`; a last segment `{*rest}` takes all that follows.
    pub path: String,
    /// What a key must hold; `None`: any key of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
    /// Units that a request takes from every window.
    #[serde(default = "one")]
    pub cost: u32,
    /// The path parameter that names the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_param: Option<String>,
    /// The path parameter that names the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceParam>,
}

/// Which path parameter names a resource, and of what kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceParam {
    /// The kind of a `kind:id` scope.
    pub kind: String,
    /// The path parameter's name.
    pub param: String,
}

fn one() -> u32 {
    1
}

/// Why a routes table can't be used; `index` is the row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route {index}: {reason}")]
pub struct RouteError {
    /// The row, from 0.
    pub index: usize,
    /// What is wrong with it, for people.
    pub reason: String,
}

/// A compiled routes table.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    paths: Router<usize>,
    /// For each distinct path: its routes.
    at: Vec<Vec<Route>>,
}

/// What the table says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<'t> {
    /// A route, with what the path named.
    Found(Matched<'t>),
    /// The path is known, with other methods: those are named, for `Allow`.
    OtherMethods(Vec<String>),
    /// No route has this path.
    None,
}

/// A route and what its parameters hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched<'t> {
    /// The route.
    pub route: &'t Route,
    /// The account named in the path.
    pub account: Option<String>,
    /// The resource named in the path: kind and id.
    pub resource: Option<(String, String)>,
}

impl RouteTable {
    /// Checks and compiles the rows.
    ///
    /// # Errors
    /// [`RouteError`] for the first bad row: method, path template, cost, a parameter that the path lacks,
    /// a row given twice, or two templates that can't stand together.
    pub fn compile(routes: &[Route]) -> Result<Self, RouteError> {
        let mut table = Self::default();
        for (index, route) in routes.iter().enumerate() {
            let fail = |reason: String| RouteError { index, reason };
            if index >= MAX_ROUTES {
                return Err(fail(format!("more than {MAX_ROUTES} routes")));
            }
            check(route).map_err(fail)?;
            table.add(route).map_err(fail)?;
        }
        Ok(table)
    }

    fn add(&mut self, route: &Route) -> Result<(), String> {
        let place = self
            .at
            .iter_mut()
            .find(|rows| rows.first().is_some_and(|r| r.path == route.path));
        if let Some(rows) = place {
            if rows.iter().any(|r| r.method == route.method) {
                return Err("the same method and path stand above already".into());
            }
            rows.push(route.clone());
            return Ok(());
        }
        self.paths
            .insert(route.path.clone(), self.at.len())
            .map_err(|e| format!("the path template can't be used: {e}"))?;
        self.at.push(vec![route.clone()]);
        Ok(())
    }

    /// Finds the route of a request. `path` is in [`crate::path::canonical`] form. HEAD is served by a GET route.
    pub fn lookup(&self, method: &str, path: &str) -> Lookup<'_> {
        let Ok(hit) = self.paths.at(path) else {
            return Lookup::None;
        };
        let rows = self.at.get(*hit.value).map_or(&[][..], Vec::as_slice);
        let of = |wanted: &str| rows.iter().find(|r| r.method == wanted);
        let head_as_get = || (method == "HEAD").then(|| of("GET")).flatten();
        match of(method).or_else(head_as_get).or_else(|| of(ANY_METHOD)) {
            None => Lookup::OtherMethods(rows.iter().map(|r| r.method.clone()).collect()),
            Some(route) => Lookup::Found(Matched {
                route,
                account: route
                    .account_param
                    .as_deref()
                    .and_then(|p| hit.params.get(p))
                    .map(str::to_owned),
                resource: route.resource.as_ref().and_then(|r| {
                    let id = hit.params.get(&r.param)?;
                    Some((r.kind.clone(), id.to_owned()))
                }),
            }),
        }
    }
}

fn check(route: &Route) -> Result<(), String> {
    let method_fits = route.method == ANY_METHOD
        || ((1..=32).contains(&route.method.len())
            && route
                .method
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b == b'-'));
    if !method_fits {
        return Err("the method is an HTTP method in upper case, or *".into());
    }
    if !route.path.starts_with('/') || route.path.len() > 512 {
        return Err("the path begins with / and has at most 512 characters".into());
    }
    // The literal part must be in the form that requests are brought to, or it could never match.
    let literal = route.path.replace(['{', '}', '*'], "");
    if crate::path::canonical(&literal).ok().as_deref() != Some(literal.as_str()) {
        return Err("the path is written decoded, without empty or dot segments and without a slash at the end".into());
    }
    if !(1..=MAX_COST).contains(&route.cost) {
        return Err(format!("the cost is 1 to {MAX_COST} units"));
    }
    let has = |param: &str| route.path.contains(&format!("{{{param}}}"));
    if route.account_param.as_deref().is_some_and(|p| !has(p)) {
        return Err("accountParam names no parameter of the path".into());
    }
    if let Some(resource) = &route.resource {
        if !crate::resource::is_kind(&resource.kind) {
            return Err("resource.kind is lower case letters, digits, - and _".into());
        }
        if !has(&resource.param) {
            return Err("resource.param names no parameter of the path".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: &str, path: &str) -> Route {
        Route {
            method: method.into(),
            path: path.into(),
            permission: None,
            cost: 1,
            account_param: None,
            resource: None,
        }
    }

    fn found(table: &RouteTable, method: &str, path: &str) -> Option<String> {
        match table.lookup(method, path) {
            Lookup::Found(m) => Some(format!("{} {}", m.route.method, m.route.path)),
            _ => None,
        }
    }

    #[test]
    fn the_closest_template_and_method_win() {
        let table = RouteTable::compile(&[
            route("GET", "/v1/customers"),
            route("*", "/v1/customers"),
            route("GET", "/v1/customers/{id}"),
            route("GET", "/v1/customers/me"),
            route("GET", "/files/{*rest}"),
        ])
        .unwrap();
        let is = |m, p, want: &str| assert_eq!(found(&table, m, p).as_deref(), Some(want));
        is("GET", "/v1/customers", "GET /v1/customers");
        is("HEAD", "/v1/customers", "GET /v1/customers");
        is("PATCH", "/v1/customers", "* /v1/customers");
        is("GET", "/v1/customers/me", "GET /v1/customers/me");
        is("GET", "/v1/customers/c_9", "GET /v1/customers/{id}");
        is("GET", "/files/a/b/c", "GET /files/{*rest}");
        assert_eq!(table.lookup("GET", "/v2"), Lookup::None);
        assert_eq!(
            table.lookup("POST", "/v1/customers/me"),
            Lookup::OtherMethods(vec!["GET".into()])
        );
    }

    #[test]
    fn the_path_names_account_and_resource() {
        let mut r = route("GET", "/accounts/{account}/agents/{agent}");
        r.account_param = Some("account".into());
        r.resource = Some(ResourceParam {
            kind: "agent".into(),
            param: "agent".into(),
        });
        let table = RouteTable::compile(&[r]).unwrap();
        let Lookup::Found(m) = table.lookup("GET", "/accounts/acc_1/agents/a_17") else {
            panic!("not found");
        };
        assert_eq!(m.account.as_deref(), Some("acc_1"));
        assert_eq!(m.resource, Some(("agent".into(), "a_17".into())));
    }

    #[test]
    fn bad_rows_are_named() {
        let mut no_param = route("GET", "/a");
        no_param.account_param = Some("account".into());
        let mut free = route("GET", "/a");
        free.cost = 0;
        for bad in [
            route("get", "/a"),
            route("GET", "a"),
            route("GET", "/a/"),
            route("GET", "/a//b"),
            route("GET", "/a/../b"),
            route("GET", "/a%20b"),
            route("GET", "/{a"),
            route("GET", "/{*a}/b"),
            no_param,
            free,
        ] {
            let err = RouteTable::compile(&[route("GET", "/ok"), bad.clone()]).unwrap_err();
            assert_eq!(err.index, 1, "{bad:?}");
        }
        let twice = RouteTable::compile(&[route("GET", "/a"), route("GET", "/a")]).unwrap_err();
        assert!(twice.reason.contains("already"));
        let clash = RouteTable::compile(&[route("GET", "/{a}"), route("GET", "/{b}")]);
        assert!(clash.is_err());
    }
}
