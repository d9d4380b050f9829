//! `/v1/leaks`: tokens found in public. No admin token is needed: GitHub signs its reports, and whoever else reports a token
//! holds it.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use shared::token::KeyHash;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::audit::{Actor, Caller};
use crate::error::{ApiError, FieldError};
use crate::http::body::{self, Body, MAX_ADMIN_BODY, Reply};
use crate::http::client::Client;
use crate::http::token_text::TokenText;
use crate::leaks::github::{KEY_HEADER, SIGNATURE_HEADER, Unverified};
use crate::leaks::{self, Finding, MAX_URL, Verdict};
use crate::openapi::Routes;
use crate::openapi::answers::{Unauthorized, Unavailable};
use crate::openapi::schema::schema;
use crate::state::AppState;

/// The most tokens of one report.
const MAX_TOKENS: usize = 1_000;
const TRUE_POSITIVE: &str = "true_positive";
const FALSE_POSITIVE: &str = "false_positive";

/// The routes.
pub fn router() -> Routes {
    Routes::new().with(routes!(github)).with(routes!(report))
}

schema! {
    /// A token.
    ReportedToken = text(0, MAX_ADMIN_BODY);
    /// The name that GitHub was given for the kind of token.
    TypeText = text(0, MAX_ADMIN_BODY).examples(["keyward_api_key"]);
    /// Where it was found.
    Place = text(0, MAX_URL).examples(["https://github.com/o/r/blob/main/.env"]);
    /// The token's SHA-256, in hexadecimal digits.
    TokenHash = form("^[0-9a-f]{64}$")
        .examples(["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]);
    /// Whether it is, or was, a token of ours.
    LabelWord = word(&[(TRUE_POSITIVE, ()), (FALSE_POSITIVE, ())]);
    /// A match of GitHub's. Members that are not known are let be.
    Matched = object([
        ("token", of::<ReportedToken>(), true),
        ("type", of::<TypeText>(), true),
        ("url", or_null::<Place>(), false),
    ]).additional_properties(OPEN);
    /// The matches of a report.
    Matches as "GitHubMatches" = list::<Matched>(MAX_TOKENS);
    /// What became of it: `revoked`: it was in use until now; `not_in_use`: it opened nothing any more; `unknown`: it is none
    /// of ours.
    StatusWord = word(&[("revoked", ()), ("not_in_use", ()), ("unknown", ())]);
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
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LeakLabel)]
struct Label {
    #[schema(value_type = TokenHash)]
    token_hash: String,
    #[schema(value_type = TypeText)]
    token_type: String,
    #[schema(value_type = LabelWord)]
    label: &'static str,
}

/// Report leaks as GitHub
///
/// Takes the reports of GitHub's secret scanning partner program, signed with ECDSA on P-256 by one of the keys that GitHub
/// publishes. Keys whose tokens are in use are revoked. The answer labels each match, as the program has it.
#[utoipa::path(
    post, path = "/leaks/github", operation_id = "reportLeaksAsGitHub", tag = "Leaks",
    params(
        ("github-public-key-identifier" = String, Header, description = "Which of GitHub's keys signed the body."),
    ),
    request_body(content = Matches, example = json!([
        {"source": "commit", "token": "some_token", "type": "keyward_api_key", "url": "https://example.com/base-repo-url/"},
    ])),
    responses((status = 200, description = "A label for each match.", body = Vec<Label>), Unauthorized, Unavailable),
    security(("githubSignature" = [])),
)]
async fn github(
    State(state): State<AppState>,
    client: Client,
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
                Verdict::InUse(_) | Verdict::Ended => TRUE_POSITIVE,
                Verdict::Unknown => FALSE_POSITIVE,
            },
        });
        if let Verdict::InUse(_) = verdict {
            in_use.push(found);
        }
    }
    drop(conn);
    if !in_use.is_empty() {
        let mut change = state.change_by(Caller::new(Actor::GitHub, client)).await?;
        let mut acts = Vec::new();
        for found in &in_use {
            let url = found.url.as_deref().filter(|url| url.len() <= MAX_URL);
            let finding = Finding {
                source: "github",
                url,
            };
            acts.extend(leaks::revoke(&mut change, found.token.expose(), finding).await?);
        }
        // Without any act somebody else was quicker.
        if let Some(last) = acts.pop() {
            for act in acts {
                change.note(act).await?;
            }
            state.settle(change, last).await?;
        }
    }
    Ok(Reply::ok(labels))
}

/// A token, by somebody who holds it.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = HeldToken)]
#[serde(deny_unknown_fields)]
struct Held {
    #[schema(value_type = ReportedToken)]
    token: TokenText,
    /// Where it was found.
    #[schema(value_type = Option<Place>)]
    #[serde(default)]
    url: Option<String>,
}

/// What became of a token that was reported.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportedLeak)]
struct Outcome {
    #[schema(value_type = StatusWord)]
    status: &'static str,
    /// Whether every edge refuses it now.
    propagated: bool,
}

/// Report a leak
///
/// Whoever holds a token can have its key revoked: nothing else is needed than the token.
#[utoipa::path(
    post, path = "/leaks/report", operation_id = "reportLeak", tag = "Leaks",
    request_body(content = Held, example = json!({
        "token": "kw_prod_sk_Ab3xT0kenThatWasFound", "url": "https://example.com/paste/1",
    })),
    responses((status = 200, description = "What became of it.", body = Outcome), Unavailable),
    security(()),
)]
async fn report(
    State(state): State<AppState>,
    client: Client,
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
        let mut change = state.change_by(Caller::new(Actor::Holder, client)).await?;
        let finding = Finding {
            source: "possession",
            url: held.url.as_deref(),
        };
        match leaks::revoke(&mut change, held.token.expose(), finding).await? {
            Some(act) => outcome.propagated = state.settle(change, act).await?,
            None => outcome.status = "not_in_use",
        }
    }
    Ok(Reply::ok(outcome))
}
