//! `/v1/leaks`: tokens found in public. No admin token is needed: GitHub signs its reports, and whoever else reports a token
//! holds it.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use shared::token::KeyHash;

use crate::error::{ApiError, FieldError};
use crate::http::body::{self, Body, MAX_ADMIN_BODY, Reply};
use crate::http::token_text::TokenText;
use crate::leaks::github::{KEY_HEADER, SIGNATURE_HEADER, Unverified};
use crate::leaks::{self, Finding, Verdict};
use crate::state::AppState;

/// The most tokens of one report.
const MAX_TOKENS: usize = 1_000;
/// The longest URL that is kept, in bytes.
const MAX_URL: usize = 2_048;

/// The routes.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/leaks/github", post(github))
        .route("/leaks/report", post(report))
}

/// One match of GitHub's; fields that are not known are passed over.
#[derive(Debug, Deserialize)]
struct Match {
    token: TokenText,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    url: Option<String>,
}

/// What GitHub is told of a match: its hash, and whether it was a credential.
#[derive(Debug, Serialize)]
struct Label {
    token_hash: String,
    token_type: String,
    label: &'static str,
}

async fn github(
    State(state): State<AppState>,
    headers: HeaderMap,
    request: Request,
) -> Result<Reply<Vec<Label>>, ApiError> {
    let bytes = body::bytes(request, &state, MAX_ADMIN_BODY).await?;
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (key, signature) = (header(KEY_HEADER), header(SIGNATURE_HEADER));
    let verified = state
        .github_keys()
        .verify(key, signature, &bytes, state.now());
    verified.await.map_err(|why| match why {
        Unverified::Unreachable(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "a leak report can't be checked"
            );
            ApiError::Unavailable
        }
        _ => ApiError::Unauthorized("The report is not signed with a key that GitHub publishes"),
    })?;
    let matches: Vec<Match> = serde_json::from_slice(&bytes)
        .map_err(|_| ApiError::InvalidJson("The body is not a list of matches".to_owned()))?;
    if matches.len() > MAX_TOKENS {
        return Err(ApiError::Validation(vec![FieldError {
            field: String::new(),
            detail: format!("at most {MAX_TOKENS} matches"),
        }]));
    }
    let mut labels = Vec::with_capacity(matches.len());
    let mut in_use = Vec::new();
    let mut conn = state.store().read().await?;
    for found in matches {
        let verdict = leaks::examine(&mut conn, found.token.expose(), state.now()).await?;
        labels.push(Label {
            token_hash: KeyHash::of(found.token.expose()).to_hex(),
            token_type: found.kind.clone(),
            label: match verdict {
                Verdict::InUse(_) | Verdict::Ended => "true_positive",
                Verdict::Unknown => "false_positive",
            },
        });
        if let Verdict::InUse(_) = verdict {
            in_use.push(found);
        }
    }
    drop(conn);
    if !in_use.is_empty() {
        let mut change = state.change().await?;
        for found in &in_use {
            let url = found.url.as_deref().filter(|url| url.len() <= MAX_URL);
            let source = "github";
            leaks::revoke(&mut change, found.token.expose(), Finding { source, url }).await?;
        }
        state.commit(change).await?;
    }
    Ok(Reply::ok(labels))
}

/// A token, by somebody who holds it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Held {
    token: TokenText,
    /// Where it was found.
    #[serde(default)]
    url: Option<String>,
}

#[derive(Debug, Serialize)]
struct Outcome {
    status: &'static str,
    propagated: bool,
}

async fn report(
    State(state): State<AppState>,
    Body(held): Body<Held>,
) -> Result<Reply<Outcome>, ApiError> {
    if held.url.as_ref().is_some_and(|url| url.len() > MAX_URL) {
        return Err(ApiError::Validation(vec![FieldError {
            field: "url".to_owned(),
            detail: format!("at most {MAX_URL} bytes"),
        }]));
    }
    // Whoever sends nonsense shall not make others wait for their turn to write.
    let mut conn = state.store().read().await?;
    let verdict = leaks::examine(&mut conn, held.token.expose(), state.now()).await?;
    drop(conn);
    let mut outcome = Outcome {
        status: match verdict {
            Verdict::InUse(_) => "revoked",
            Verdict::Ended => "not_in_use",
            Verdict::Unknown => "unknown",
        },
        propagated: false,
    };
    if let Verdict::InUse(_) = verdict {
        let mut change = state.change().await?;
        let finding = Finding {
            source: "possession",
            url: held.url.as_deref(),
        };
        leaks::revoke(&mut change, held.token.expose(), finding).await?;
        outcome.propagated = state.commit(change).await?;
    }
    Ok(Reply::ok(outcome))
}
