//! Signed messages, right and wrong.

use keyward_tests::{Answer, Call, World, letters, now};
use shared::secret::Secret;
use shared::webhook::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};

/// A message to be signed; every part can be set.
#[derive(Debug, Clone)]
pub struct Message {
    /// The body that is signed.
    pub body: Vec<u8>,
    /// Its id.
    pub id: String,
    /// When it was sent, in seconds since the epoch.
    pub at: u64,
    /// What it is signed with.
    pub secret: Secret,
}

impl Message {
    /// A message as its sender makes it.
    pub fn new(world: &World, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            id: format!("msg_{}", letters(20)),
            at: now() / 1_000,
            secret: world.secrets.push_secret(),
        }
    }

    /// The request that brings it, with its content type and body.
    pub fn post(&self, path: &str) -> Call {
        let call = self.head(Call::post(path));
        call.header("content-type", "application/json")
            .body(self.body.clone())
    }

    /// A request with its three headers.
    pub fn head(&self, call: Call) -> Call {
        let signature = sign(&self.secret, &self.id, self.at, &self.body);
        call.header(ID_HEADER, &self.id)
            .header(TIMESTAMP_HEADER, &self.at.to_string())
            .header(SIGNATURE_HEADER, &signature)
    }
}

/// A secret of someone else.
pub fn another_secret() -> Secret {
    Secret::from_text(&letters(32)).expect("a secret")
}

/// Sends a call to the control plane.
pub async fn to_control_plane(world: &World, call: &Call) -> Answer {
    let url = world.control_plane.url();
    let response = call.request(&world.client, &url).send().await;
    let answer = Answer::read(response.expect("the control plane answers")).await;
    answer.expect("the answer is whole")
}
