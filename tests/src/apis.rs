//! More APIs than the demo one.

use serde_json::{Value, json};

use crate::world::World;

impl World {
    /// Makes an API of the demo account on a host, in production, open to routes that are not listed, with `settings`
    /// over that. Gives its id.
    ///
    /// # Panics
    /// When it can't be made.
    pub async fn api(&self, host: &str, settings: Value) -> String {
        let mut body = json!({
            "name": "Another API",
            "accountId": self.account,
            "endpoints": [{"host": host, "environment": "production"}],
            "upstream": self.upstream.url(),
            "unlisted": "open",
        });
        if let (Value::Object(body), Value::Object(settings)) = (&mut body, settings) {
            body.extend(settings);
        }
        self.admin.create_api(&body).await.expect("an API is made")
    }

    /// Makes an account below another. Gives its id.
    ///
    /// # Panics
    /// When it can't be made.
    pub async fn account_below(&self, parent: &str) -> String {
        let body = json!({"name": "Below", "parentId": parent});
        let account = self.admin.create_account(&body).await;
        account.expect("an account is made")
    }
}
