//! The answers that many operations give, each described once, with an example that the code itself makes.

use axum::response::IntoResponse;
use shared::problem::{MEDIA_TYPE, Problem};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{Array, Type};
use utoipa::openapi::{
    Components, ContentBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema,
};

use super::schema;
use crate::error::{ApiError, FieldError};
use crate::http::finish;

const PROBLEM: &str = "Problem";
const REQUEST_ID: &str = "#/components/headers/RequestId";
const EXAMPLE_ID: &str = "req_4kTm20Qx7Lr9WbZ3sVnY";

/// Failures of any operation.
pub const ALWAYS: &[(&str, &str)] = &[("default", "Failure")];
/// Of operations that need an admin token.
pub const OF_ADMINS: &[(&str, &str)] = &[
    ("401", "Unauthorized"),
    ("403", "Forbidden"),
    ("429", "TooManyAttempts"),
    ("503", "Unavailable"),
];
/// Of operations that take a body.
pub const OF_BODIES: &[(&str, &str)] = &[
    ("400", "BadRequest"),
    ("413", "PayloadTooLarge"),
    ("422", "ValidationFailed"),
];
/// Of operations that take a body of an admin.
pub const OF_ADMINS_BODIES: &[(&str, &str)] = &[("415", "UnsupportedMediaType")];
/// Of operations on one thing.
pub const OF_IDS: &[(&str, &str)] = &[("404", "NotFound")];
/// Of operations that take parameters.
pub const OF_QUERIES: &[(&str, &str)] = &[("422", "ValidationFailed")];
/// Of operations with `If-Match`.
pub const OF_PRECONDITIONS: &[(&str, &str)] =
    &[("400", "BadRequest"), ("412", "PreconditionFailed")];
/// Of operations with an `Idempotency-Key`.
pub const OF_IDEMPOTENCY_KEYS: &[(&str, &str)] = &[
    ("400", "BadRequest"),
    ("409", "Conflict"),
    ("413", "PayloadTooLarge"),
    ("422", "ValidationFailed"),
];

/// The caller has what would be sent.
#[derive(Debug, Clone, Copy)]
pub enum NotModified {}

impl utoipa::IntoResponses for NotModified {
    fn responses() -> std::collections::BTreeMap<String, RefOr<Response>> {
        let answer = ResponseBuilder::new()
            .description("The caller has it already: its version is one that If-None-Match names.");
        [("304".to_owned(), answer.build().into())].into()
    }
}

/// Describes each answer: its doc comment, its name, the error that makes it. The names can stand among an operation's
/// `responses(…)`.
macro_rules! answers {
    ($($(#[doc = $doc:literal])+ $name:ident = $error:expr;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, Copy)]
            pub enum $name {}

            impl utoipa::IntoResponses for $name {
                fn responses() -> std::collections::BTreeMap<String, RefOr<Response>> {
                    let status = ApiError::problem(&$error).status.to_string();
                    let reference = Ref::from_response_name(stringify!($name));
                    [(status, RefOr::Ref(reference))].into()
                }
            }
        )+

        fn all() -> Vec<(&'static str, String, ApiError)> {
            vec![$((stringify!($name), schema::sentences(&[$($doc),+]), $error)),+]
        }
    };
}

answers! {
    /// The body is not JSON, or ended early.
    BadRequest = ApiError::InvalidJson(
        "The body is not JSON: EOF while parsing an object at line 1 column 8".to_owned(),
    );
    /// Who calls is not known: no valid admin token, or no valid signature.
    Unauthorized = ApiError::Unauthorized("The admin token is not valid");
    /// The caller is known, but lacks the management permission.
    Forbidden = ApiError::Forbidden(
        "The admin token lacks the permission keys.write".to_owned(),
    );
    /// There is no such thing, or it is outside the caller's account.
    NotFound = ApiError::no("key", "key_6fJq81Nn0sPz5cGhR2Wa");
    /// It contradicts what is there; or the first call with the same Idempotency-Key is under way, and `Retry-After` says
    /// when to ask again.
    Conflict = ApiError::Conflict("Another API answers for the host api.example.com already".to_owned());
    /// It was changed since the version that If-Match names; `currentVersion` and `ETag` name the current one.
    PreconditionFailed = ApiError::PreconditionFailed(1_800_000_000_000);
    /// The body is too large.
    PayloadTooLarge = ApiError::PayloadTooLarge(crate::http::body::MAX_ADMIN_BODY);
    /// The body is not said to be JSON.
    UnsupportedMediaType = ApiError::UnsupportedMediaType;
    /// Fields that can't be accepted, all of them in `errors`; or an Idempotency-Key that was used for another request.
    ValidationFailed = ApiError::Validation(vec![FieldError {
        field: "rateLimits.requestsPerMinute".to_owned(),
        detail: "must be 1 to 1000000000".to_owned(),
    }]);
    /// Too many admin tokens that are not valid came from the caller's address.
    TooManyAttempts = ApiError::TooManyAttempts(std::time::Duration::from_secs(3));
    /// The server can't serve at the moment; `parts` names what it lacks.
    NotReady = ApiError::NotReady(vec!["database"]);
    /// The database can't be reached, or the request took too long.
    Unavailable = ApiError::Unavailable;
    /// Any other failure: a path or method that there is not, a mistake of the server's.
    Failure = ApiError::Internal(anyhow::anyhow!("an example"));
}

/// Adds all answers, and what they refer to.
pub fn describe(components: &mut Components) {
    for (name, description, error) in all() {
        let answer = answer(description, error);
        components.responses.insert(name.to_owned(), answer.into());
    }
    let id = HeaderBuilder::new()
        .schema(Some(schema::form("^req_[0-9A-Za-z]{20}$")))
        .description(Some("The request's id; the server's log has it too."))
        .build();
    components.headers.insert("RequestId".to_owned(), id.into());
    components.schemas.insert(PROBLEM.to_owned(), problem());
}

fn answer(description: String, error: ApiError) -> Response {
    let example = error.problem().with_request_id(EXAMPLE_ID);
    let content = ContentBuilder::new()
        .schema(Some(RefOr::<Schema>::Ref(Ref::from_schema_name(PROBLEM))))
        .example(serde_json::to_value(&example).ok())
        .build();
    let answer = ResponseBuilder::new()
        .description(description)
        .content(MEDIA_TYPE, content);
    let mut answer = answer.build();
    for name in error.into_response().headers().keys() {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let header = HeaderBuilder::new().schema(Some(text)).build();
        answer.headers.insert(name.to_string(), header.into());
    }
    add_request_id(&mut answer);
    answer
}

/// Adds the request's id to an answer.
pub fn add_request_id(answer: &mut Response) {
    let id = RefOr::Ref(Ref::new(REQUEST_ID));
    answer.headers.insert(finish::REQUEST_ID.to_string(), id);
}

/// The schema of [`Problem`], which belongs to `shared`.
fn problem() -> RefOr<Schema> {
    let text = |description: &str| {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(description))
    };
    let field_error = <FieldError as utoipa::PartialSchema>::schema();
    let mut object = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Why a request failed (RFC 9457)."))
        .property("type", text("A URI that names the kind of problem."))
        .property("title", text("The kind, for people."))
        .property(
            "status",
            schema::whole(400, 599).description(Some("The HTTP status.")),
        )
        .property("detail", text("This occurrence, for people."))
        .property("code", text("The kind, for programs."))
        .property(
            "requestId",
            text("The request's id; the server's log has it too."),
        )
        .property("error", text("The title again."))
        .property("message", text("The detail again."))
        .property(
            "currentVersion",
            schema::count().description(Some(
                "Of a precondition that failed: the version that is there.",
            )),
        )
        .property("errors", Array::new(field_error))
        .property("parts", Array::new(text("What is not ready, by name.")));
    let always = serde_json::to_value(Problem::new(400, "", "", ""));
    for name in always.iter().filter_map(|v| v.as_object()).flatten() {
        object = object.required(name.0);
    }
    object.into()
}
