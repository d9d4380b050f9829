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
    assert_eq!(m.account, Some("acc_1"));
    assert_eq!(m.resource, Some(("agent", "a_17")));
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
        route("GET", "/a}"),
        route("GET", "/{}"),
        route("GET", "/{*}"),
        route("GET", "/a{*b}"),
        route("GET", "/{a}{b}"),
        route("GET", "/{a{b}}"),
        route("GET", "/files/*"),
        route("GET", "/{a}/{a}"),
        no_param,
        free,
    ] {
        let err = RouteTable::compile(&[route("GET", "/ok"), bad.clone()]).unwrap_err();
        assert_eq!(err.index, 1, "{bad:?}");
    }
    let twice = RouteTable::compile(&[route("GET", "/a"), route("GET", "/a")]).unwrap_err();
    assert!(twice.fault.to_string().contains("already"));
    let clash = RouteTable::compile(&[route("GET", "/{a}"), route("PUT", "/{b}")]).unwrap_err();
    assert!(clash.fault.to_string().contains("other names"));
}

#[test]
fn a_narrower_template_wins_and_a_branch_that_leads_nowhere_is_left() {
    let table = RouteTable::compile(&[
        route("GET", "/{*rest}"),
        route("GET", "/v1/{id}"),
        route("GET", "/v1/{id}.json"),
        route("GET", "/v1/{id}:archive"),
        route("GET", "/v1/report-{id}.json"),
        route("GET", "/v1/{*rest}"),
        route("GET", "/v1/me/keys"),
        route("GET", "/"),
    ])
    .unwrap();
    let is = |path, want: &str| {
        assert_eq!(
            found(&table, "GET", path).unwrap(),
            format!("GET {want}"),
            "{path}"
        );
    };
    is("/", "/");
    is("/v2", "/{*rest}");
    is("/v1", "/{*rest}");
    is("/v1/a", "/v1/{id}");
    is("/v1/a.json", "/v1/{id}.json");
    is("/v1/.json", "/v1/{id}");
    is("/v1/a:archive", "/v1/{id}:archive");
    is("/v1/report-7.json", "/v1/report-{id}.json");
    is("/v1/me", "/v1/{id}");
    is("/v1/me/keys", "/v1/me/keys");
    is("/v1/me/key", "/v1/{*rest}");
    is("/v1/a/b/c", "/v1/{*rest}");
}

#[test]
fn a_parameter_is_what_stands_between_the_text_around_it() {
    let mut r = route("POST", "/v1/acc-{account}/{id}:archive");
    r.account_param = Some("account".into());
    r.resource = Some(ResourceParam {
        kind: "invoice".into(),
        param: "id".into(),
    });
    let table = RouteTable::compile(&[r]).unwrap();
    let Lookup::Found(m) = table.lookup("POST", "/v1/acc-é/i:9:archive") else {
        panic!("not found");
    };
    assert_eq!(
        (m.account, m.resource),
        (Some("é"), Some(("invoice", "i:9")))
    );
}
