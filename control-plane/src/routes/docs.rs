//! `/openapi.json` and `/docs`: what the API is, for programs and for people, from the binary alone.

use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::routes;
use utoipa_swagger_ui::Config;

use crate::error::ApiError;
use crate::openapi::Routes;
use crate::openapi::schema::schema;

/// The page's own policy: scripts, styles and requests from this server only. Swagger UI draws its icons from `data:`.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// Files change with the server's version only.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=3600");
const PAGE: &str = include_str!("docs/page.html");
const START: &str = include_str!("docs/start.js");
/// What the page needs of Swagger UI.
const FILES: [(&str, ()); 3] = [
    ("start.js", ()),
    ("swagger-ui-bundle.js", ()),
    ("swagger-ui.css", ()),
];

/// The routes.
pub fn router() -> Routes {
    Routes::new()
        .with(routes!(document))
        .with(routes!(page))
        .with(routes!(file))
}

schema! {
    /// A file of the page.
    FileName = word(&FILES);
}

/// Show this document
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "showDocument", tag = "Server",
    responses((status = 200, description = "The OpenAPI document.", content_type = "application/json")),
    security(()),
)]
async fn document() -> Result<Response, ApiError> {
    static DOCUMENT: LazyLock<Result<Bytes, String>> = LazyLock::new(|| {
        serde_json::to_vec(&super::document())
            .map(Bytes::from)
            .map_err(|error| error.to_string())
    });
    match &*DOCUMENT {
        Ok(document) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            Ok((kind, document.clone()).into_response())
        }
        Err(error) => Err(ApiError::Internal(anyhow::anyhow!("{error}"))),
    }
}

/// Browse the documentation
#[utoipa::path(
    get, path = "/docs", operation_id = "browseDocument", tag = "Server",
    responses((status = 200, description = "A page.", content_type = "text/html")),
    security(()),
)]
async fn page() -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, PAGE).into_response()
}

/// Load a file of that page
#[utoipa::path(
    get, path = "/docs/{file}", operation_id = "loadPageFile", tag = "Server",
    params(("file" = inline(FileName), Path)),
    responses((status = 200, description = "The file.", content_type = "text/javascript")),
    security(()),
)]
async fn file(Path(name): Path<String>) -> Result<Response, ApiError> {
    if name == "start.js" {
        let headers = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/javascript"),
            ),
            (header::CACHE_CONTROL, KEPT),
        ];
        return Ok((headers, START).into_response());
    }
    let known = FILES.iter().any(|(file, ())| *file == name);
    let missing = || ApiError::NotFound("There is nothing at this path".to_owned());
    if !known {
        return Err(missing());
    }
    let found = utoipa_swagger_ui::serve(&name, Arc::new(Config::default()))
        .map_err(|error| ApiError::Internal(anyhow::anyhow!("{error}")))?;
    let file = found.ok_or_else(missing)?;
    let mut response = file.bytes.into_owned().into_response();
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(&file.content_type) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if file.gzpipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(header::CACHE_CONTROL, KEPT);
    Ok(response)
}
