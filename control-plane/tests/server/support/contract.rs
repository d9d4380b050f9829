//! Holds answers against the OpenAPI document: every answer that a test reads goes through here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

/// What the answers of one path may be.
struct Path {
    template: String,
    /// By status, those of all methods.
    answers: BTreeMap<String, Vec<Validator>>,
}

/// The document as it is served.
pub static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(keyward::routes::document()).unwrap());

static PATHS: LazyLock<Vec<Path>> = LazyLock::new(|| {
    let mut components = DOCUMENT["components"].clone();
    close(&mut components);
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths
        .iter()
        .map(|(template, item)| Path::new(template, item, &components))
        .collect()
});

/// Every operation: path, method, operation.
pub fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap();
        methods
            .iter()
            .map(|(m, op)| (path.as_str(), m.as_str(), op))
    })
}

/// What a reference of the document leads to, or the value itself.
pub fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap();
            let target = DOCUMENT.pointer(pointer);
            resolved(target.unwrap_or_else(|| panic!("{reference} leads nowhere")))
        }
        None => value,
    }
}

/// Checks that the document has such an answer.
#[track_caller]
pub fn check(path: &str, status: u16, body: &Value) {
    let Some(known) = PATHS.iter().find(|known| fits(&known.template, path)) else {
        // Only the router's own answer can come from where there is nothing.
        assert_eq!(status, 404, "{path} is not in the document");
        return;
    };
    // Methods that there are not, and our mistakes, are nobody's own.
    let name = match status {
        405 | 500 => "default".to_owned(),
        other => other.to_string(),
    };
    let Some(answers) = known.answers.get(&name) else {
        panic!("{path} answers {status}, which is not in the document: {body:#}");
    };
    let mistakes = |validator: &Validator| -> Vec<String> {
        let errors = validator.iter_errors(body);
        errors
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect()
    };
    let all: Vec<_> = answers.iter().map(mistakes).collect();
    let fits = all.is_empty() || all.iter().any(Vec::is_empty);
    assert!(fits, "{path} {status} is not as documented: {all:#?}");
}

impl Path {
    fn new(template: &str, item: &'static Value, components: &Value) -> Self {
        let mut answers: BTreeMap<String, Vec<Validator>> = BTreeMap::new();
        for operation in item.as_object().unwrap().values() {
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let known = answers.entry(status.clone()).or_default();
                let content = resolved(answer)["content"].as_object();
                for (kind, content) in content.into_iter().flatten() {
                    // Lines of JSON have tests of their own.
                    if kind != "application/x-ndjson" {
                        known.extend(validator(&content["schema"], components));
                    }
                }
            }
        }
        Self {
            template: template.to_owned(),
            answers,
        }
    }
}

/// The validator of a schema of the document; nothing for answers that have none.
pub fn validator(schema: &Value, components: &Value) -> Option<Validator> {
    let mut schema = schema.as_object()?.clone();
    schema.insert("components".to_owned(), components.clone());
    let options = jsonschema::draft202012::options().should_validate_formats(true);
    Some(options.build(&json!(schema)).unwrap())
}

/// In the tests an answer has no member that the document does not name.
fn close(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object) {
                members
                    .entry("additionalProperties")
                    .or_insert(json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(entries) => entries.iter_mut().for_each(close),
        _ => {}
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given => {}
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}
