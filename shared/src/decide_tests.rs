use super::*;
use crate::ip::IpRange;
use crate::origin::OriginPattern;
use crate::permission::Permission;
use crate::record::{CorsPolicy, Credential, Enforcement, OnGuardFailure, RateLimits};
use crate::resource::ResourceScope;
use crate::route::{ResourceParam, Route};

const NOW: Millis = 1_000_000;

fn hash() -> KeyHash {
    KeyHash::of("the token")
}

fn key() -> KeyRecord {
    KeyRecord {
        id: "key_1".into(),
        version: 1,
        account: "acc_parent00".into(),
        ancestors: vec!["acc_root0000".into()],
        owner: None,
        environment: "prod".into(),
        state: KeyState::Active,
        credentials: vec![Credential {
            hash: hash(),
            not_after: None,
        }],
        expires_at: None,
        permissions: vec![Permission::parse("customers.*").unwrap()],
        role_permissions: None,
        resources: Vec::new(),
        allowed_origins: Vec::new(),
        allow_missing_origin: false,
        allowed_ips: Vec::new(),
        limits: RateLimits::default(),
        enforcement: Enforcement::Leased,
        credits: None,
        identity: None,
    }
}

fn api() -> ApiRecord {
    ApiRecord {
        id: "api_1".into(),
        version: 1,
        account: "acc_parent00".into(),
        ancestors: vec!["acc_root0000".into()],
        name: "Demo".into(),
        endpoints: vec![Endpoint {
            host: "*".into(),
            environment: "production".into(),
            code: "prod".into(),
            upstream: None,
        }],
        upstream: "http://localhost".into(),
        upstream_timeout_ms: 1_000,
        routes: vec![Route {
            method: "GET".into(),
            path: "/{account}/customers/{id}".into(),
            permission: Some(Permission::parse("customers.read").unwrap()),
            cost: 1,
            account_param: Some("account".into()),
            resource: Some(ResourceParam {
                kind: "customer".into(),
                param: "id".into(),
            }),
        }],
        unlisted: Unlisted::Closed,
        cors: CorsPolicy::default(),
        on_guard_failure: OnGuardFailure::Refuse,
        accept_imported: false,
        deleted: false,
    }
}

struct Case {
    key: KeyRecord,
    api: ApiRecord,
    named: Option<AccountRecord>,
    ip: Option<&'static str>,
    origin: Option<&'static str>,
}

impl Case {
    fn new() -> Self {
        Self {
            key: key(),
            api: api(),
            named: None,
            ip: Some("203.0.113.7"),
            origin: None,
        }
    }

    fn decide(&self) -> Result<(), Denial> {
        let table = RouteTable::compile(&self.api.routes).unwrap();
        let matched = route(&table, self.api.unlisted, "GET", "/acc_x/customers/c_9").unwrap();
        decide(&Facts {
            now: NOW,
            hash: &hash(),
            key: &self.key,
            api: &self.api,
            endpoint: &self.api.endpoints[0],
            route: matched.as_ref(),
            account: self
                .named
                .as_ref()
                .map_or(NamedAccount::Own, NamedAccount::Known),
            ip: self.ip.map(|ip| ip.parse().unwrap()),
            origin: self.origin,
        })
    }

    fn code(&self) -> &'static str {
        self.decide().unwrap_err().code()
    }
}

#[test]
fn a_good_request_passes() {
    assert_eq!(Case::new().decide(), Ok(()));
}

#[test]
fn the_checks_come_in_the_documented_order() {
    let mut case = Case::new();
    case.key.permissions.clear();
    case.key.resources = vec![ResourceScope::parse("customer:c_1").unwrap()];
    case.key.allowed_origins = vec![OriginPattern::parse("https://app.example.com").unwrap()];
    case.key.allowed_ips = vec![IpRange::parse("10.0.0.0/8").unwrap()];
    case.named = Some(AccountRecord {
        id: "acc_other000".into(),
        version: 1,
        ancestors: Vec::new(),
        deleted: false,
        requests_per_month: None,
    });
    case.key.environment = "stg".into();
    case.key.expires_at = Some(NOW);
    case.key.state = KeyState::Revoked;
    assert_eq!(case.code(), "invalid_key");
    case.key.state = KeyState::Active;
    assert_eq!(case.code(), "expired_key");
    case.key.expires_at = Some(NOW + 1);
    assert_eq!(case.code(), "wrong_environment");
    case.key.environment = "prod".into();
    assert_eq!(case.code(), "account_not_allowed");
    case.named = None;
    assert_eq!(case.code(), "ip_not_allowed");
    case.ip = Some("10.0.0.1");
    assert_eq!(case.code(), "origin_not_allowed");
    case.origin = Some("https://app.example.com");
    assert_eq!(case.code(), "insufficient_permission");
    case.key.permissions = vec![Permission::parse("*").unwrap()];
    assert_eq!(case.code(), "resource_not_allowed");
    case.key.resources = vec![ResourceScope::parse("customer:c_9").unwrap()];
    assert_eq!(case.decide(), Ok(()));
}

#[test]
fn a_key_never_exceeds_its_owners_role() {
    let mut case = Case::new();
    case.key.permissions = vec![Permission::parse("*").unwrap()];
    case.key.role_permissions = Some(vec![Permission::parse("orders.*").unwrap()]);
    assert_eq!(case.code(), "insufficient_permission");
    case.key.role_permissions = Some(vec![Permission::parse("customers.read").unwrap()]);
    assert_eq!(case.decide(), Ok(()));
}

#[test]
fn a_rotated_token_works_exactly_until_its_graces_end() {
    let mut case = Case::new();
    case.key.credentials[0].not_after = Some(NOW + 1);
    assert_eq!(case.decide(), Ok(()));
    case.key.credentials[0].not_after = Some(NOW);
    assert_eq!(case.decide(), Err(Denial::InvalidKey(InvalidKey::Replaced)));
    case.key.credentials.clear();
    assert_eq!(case.decide(), Err(Denial::InvalidKey(InvalidKey::Replaced)));
}

#[test]
fn keys_open_apis_of_related_accounts_only() {
    let mut case = Case::new();
    case.api.account = "acc_stranger".into();
    case.api.ancestors = vec!["acc_root0000".into()];
    assert_eq!(
        case.decide(),
        Err(Denial::InvalidKey(InvalidKey::OtherTenant))
    );
    case.api.account = "acc_root0000".into();
    case.api.ancestors.clear();
    assert_eq!(case.decide(), Ok(()));
    case.api.account = "acc_child000".into();
    case.api.ancestors = vec!["acc_root0000".into(), "acc_parent00".into()];
    assert_eq!(case.decide(), Ok(()));
}

#[test]
fn a_key_with_origins_refuses_requests_without_one_unless_it_says_otherwise() {
    let mut case = Case::new();
    case.key.allowed_origins = vec![OriginPattern::parse("*").unwrap()];
    assert_eq!(case.code(), "origin_not_allowed");
    case.key.allow_missing_origin = true;
    assert_eq!(case.decide(), Ok(()));
    case.origin = Some("null");
    assert_eq!(case.code(), "origin_not_allowed");
}

#[test]
fn closed_apis_refuse_what_no_route_lists() {
    let table = RouteTable::compile(&api().routes).unwrap();
    let at =
        |unlisted, method: &str, path| route(&table, unlisted, method, path).map(|m| m.is_some());
    assert_eq!(at(Unlisted::Closed, "GET", "/x"), Err(Denial::UnknownRoute));
    assert_eq!(
        at(Unlisted::Closed, "PUT", "/a/customers/b"),
        Err(Denial::MethodNotAllowed {
            allow: vec!["GET".into()]
        })
    );
    assert_eq!(at(Unlisted::Open, "GET", "/x"), Ok(false));
    assert_eq!(cost(None), 1);
}
