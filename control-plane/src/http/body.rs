//! JSON bodies, in and out.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::error::{ApiError, FieldError};
use crate::http::precondition::etag;

/// The largest body of an admin call, in bytes.
pub const MAX_ADMIN_BODY: usize = 1024 * 1024;

/// A JSON body of an admin call.
///
/// Refused with 415 without a JSON content type, 413 when too large, 400 when it is not JSON, and 422, with the
/// path of the field, when a field is unknown or of the wrong type.
#[derive(Debug, Clone, Copy)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::UnsupportedMediaType);
        }
        parse(&bytes(request, state, MAX_ADMIN_BODY).await?).map(Self)
    }
}

/// A JSON body that may be left out whole.
#[derive(Debug, Clone, Copy)]
pub struct OptionalBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let bytes = bytes(request, state, MAX_ADMIN_BODY).await?;
        match (bytes.is_empty(), is_json) {
            (true, _) => Ok(Self(T::default())),
            (false, false) => Err(ApiError::UnsupportedMediaType),
            (false, true) => parse(&bytes).map(Self),
        }
    }
}

/// The body whole, up to the limit that the router sets, which is told as `limit`.
///
/// # Errors
/// 413 when it is larger, 400 when it ends early.
pub async fn bytes<S: Send + Sync>(
    request: Request,
    state: &S,
    limit: usize,
) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection: BytesRejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ApiError::PayloadTooLarge(limit)
            } else {
                ApiError::BadRequest("The body could not be read to its end".to_owned())
            }
        })
}

/// Whether a body is said to be JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase());
    essence.as_deref() == Some("application/json")
}

/// Reads JSON, naming the field that can't be read.
///
/// # Errors
/// [`ApiError::InvalidJson`] for what is not JSON, [`ApiError::Validation`] for JSON of another shape.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| ApiError::InvalidJson("The body is not UTF-8".to_owned()))?;
    // Without this, serde would also read a list, as the fields in their order.
    if text.trim_start().starts_with('[') {
        return Err(ApiError::Validation(vec![FieldError {
            field: String::new(),
            detail: "must be an object".to_owned(),
        }]));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if cause.is_data() {
            ApiError::Validation(vec![field_error(&path, &cause)])
        } else {
            ApiError::InvalidJson(format!("The body is not JSON: {cause}"))
        }
    })?;
    json.end()
        .map_err(|error| ApiError::InvalidJson(format!("The body is not JSON: {error}")))?;
    Ok(value)
}

/// Reads a value that was parsed already, naming the field that can't be read.
///
/// # Errors
/// What is wrong with it.
pub fn from_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Vec<FieldError>> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        vec![field_error(&path, &error.into_inner())]
    })
}

fn field_error(path: &str, error: &serde_json::Error) -> FieldError {
    let text = error.to_string();
    // The field's path says better than line and column where it is.
    let end = text.rfind(" at line ").unwrap_or(text.len());
    let text = text.get(..end).unwrap_or_default();
    let mut field = if path == "." { "" } else { path }.to_owned();
    // The path leads to the object that lacks a field, or has it twice; the message names the field.
    let named = ["missing field `", "duplicate field `"];
    if let Some(name) = named.iter().find_map(|m| text.strip_prefix(m)) {
        if !field.is_empty() {
            field.push('.');
        }
        field.push_str(name.trim_end_matches('`'));
    }
    // What `shared` reads names the member itself.
    let misfit = text.split_once(" must be ");
    if let Some((member, wanted)) = misfit.filter(|(member, _)| !member.contains(' ')) {
        if member != "it" {
            if !field.is_empty() {
                field.push('.');
            }
            field.push_str(member);
        }
        return FieldError {
            field,
            detail: format!("must be {wanted}"),
        };
    }
    FieldError {
        field,
        detail: detail(text),
    }
}

/// What serde says, in words of JSON, and without the value that it found: that may be a secret put in the wrong place.
fn detail(text: &str) -> String {
    let kind = text.split([':', ' ', '`']).take(2).collect::<Vec<_>>();
    match kind.as_slice() {
        ["missing", _] => "is needed".to_owned(),
        ["duplicate", _] => "is given twice".to_owned(),
        ["unknown", _] => match text.split_once(", expected ") {
            Some((_, known)) => format!("is not known here; {}", known.replace('`', "")),
            None => "is not known here".to_owned(),
        },
        ["invalid", _] => {
            let expected = text.rsplit_once("expected ").map_or("", |(_, what)| what);
            format!("must be {}", in_json(expected))
        }
        _ => "can't be read".to_owned(),
    }
}

fn in_json(expected: &str) -> &str {
    match expected {
        "u8" | "u32" | "u64" => "a whole number, not negative and not too large",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a string" => "a string",
        other if other.starts_with("struct") || other.contains("map") => "an object",
        _ => "of another form",
    }
}

/// For fields that may be left out, but not `null`.
///
/// # Errors
/// Those of the inner type.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// For fields that tell being left out (`None`) from `null` (`Some(None)`).
///
/// # Errors
/// Those of the inner type.
pub fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// The answer to a change.
pub trait Changed: Serialize {
    /// The version of what was changed; `None` if it is gone.
    fn version(&self) -> Option<u64>;

    /// Notes whether every edge has it, which is known last.
    fn set_propagated(&mut self, propagated: bool);
}

/// The answer to a change that leaves nothing to show.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub struct Done {
    /// Whether every edge has it.
    pub propagated: bool,
}

impl Changed for Done {
    fn version(&self) -> Option<u64> {
        None
    }

    fn set_propagated(&mut self, propagated: bool) {
        self.propagated = propagated;
    }
}

/// A JSON answer.
#[derive(Debug, Clone, Copy)]
pub struct Reply<T> {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: T,
    version: Option<u64>,
}

impl<T> Reply<T> {
    /// 200.
    pub fn ok(body: T) -> Self {
        Self {
            status: StatusCode::OK,
            body,
            version: None,
        }
    }

    /// 201.
    pub fn created(body: T) -> Self {
        Self {
            status: StatusCode::CREATED,
            ..Self::ok(body)
        }
    }

    /// With the `ETag` of a version.
    pub fn tagged(self, version: impl Into<Option<u64>>) -> Self {
        Self {
            version: version.into(),
            ..self
        }
    }
}

impl<T: Serialize> Reply<T> {
    /// The body's bytes, as they are sent.
    ///
    /// # Errors
    /// When the body can't be written as JSON.
    pub fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&self.body)?)
    }
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        match self.bytes() {
            Ok(body) => {
                let kind = [(header::CONTENT_TYPE, "application/json")];
                let tag = self.version.map(|v| [(header::ETAG, etag(v))]);
                (self.status, kind, tag, body).into_response()
            }
            Err(error) => ApiError::Internal(error).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Outer {
        #[serde(deserialize_with = "given")]
        number: Option<u32>,
        flag: bool,
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[serde(rename = "text")]
        _text: String,
    }

    fn mistake(json: &str) -> (String, String) {
        match parse::<Outer>(json.as_bytes()) {
            Err(ApiError::Validation(errors)) => {
                (errors[0].field.clone(), errors[0].detail.clone())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn mistakes_name_the_field_and_never_repeat_the_value() {
        let number = "must be a whole number, not negative and not too large";
        for (json, field, detail) in [
            (r#"{"number":-1}"#, "number", number),
            (r#"{"number":1.5}"#, "number", number),
            (r#"{"number":"kw_secret"}"#, "number", number),
            (r#"{"number":null}"#, "number", number),
            (r#"{"number":99999999999999999999999}"#, "number", number),
            (r#"{"flag":"kw_secret"}"#, "flag", "must be true or false"),
            (r#"{"list":7}"#, "list", "must be a list"),
            (r#"{"list":[{}]}"#, "list[0].text", "is needed"),
            (
                r#"{"list":[{"text":7}]}"#,
                "list[0].text",
                "must be a string",
            ),
            (r#"{"list":["kw_secret"]}"#, "list[0]", "must be an object"),
            (r#"{"flag":true,"flag":true}"#, "flag", "is given twice"),
            (r#""kw_secret""#, "", "must be an object"),
        ] {
            assert_eq!(
                mistake(json),
                (field.to_owned(), detail.to_owned()),
                "{json}"
            );
        }
        let (field, detail) = mistake(r#"{"colour":"red"}"#);
        assert_eq!(field, "colour");
        assert_eq!(detail, "is not known here; one of number, flag, list");
    }

    #[test]
    fn what_is_not_json_is_told_apart_from_json_of_another_shape() {
        for bytes in [
            &b""[..],
            b"{",
            b"{}x",
            b"{'number':1}",
            b"{\"number\":1e999}",
            b"{\"number\":\xff}",
        ] {
            let result = parse::<Outer>(bytes);
            assert!(
                matches!(result, Err(ApiError::InvalidJson(_))),
                "{result:?}"
            );
        }
        assert_eq!(parse::<Outer>(b" {\"number\":1} ").unwrap().number, Some(1));
    }
}
