//! Examples of answers, composed from the examples of their members.

use serde_json::{Map, Value};
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ArrayItems, Object, SchemaType, Type};
use utoipa::openapi::{Components, RefOr, Schema};

const JSON: &str = "application/json";

/// Gives every JSON answer of an operation that has no example one.
pub fn add(operation: &mut Operation, components: &Components) {
    for answer in operation.responses.responses.values_mut() {
        let RefOr::T(answer) = answer else { continue };
        let Some(RefOr::T(content)) = answer.content.get_mut(JSON) else {
            continue;
        };
        if content.example.is_none() && content.examples.is_empty() {
            content.example = content.schema.as_ref().and_then(|s| compose(s, components));
        }
    }
}

fn compose(schema: &RefOr<Schema>, components: &Components) -> Option<Value> {
    let schema = match schema {
        RefOr::T(schema) => schema,
        RefOr::Ref(named) => {
            let (_, name) = named.ref_location.rsplit_once('/')?;
            return compose(components.schemas.get(name)?, components);
        }
    };
    match schema {
        Schema::Object(object) => of_object(object, components),
        Schema::Array(array) => match (array.examples.first(), &array.items) {
            (Some(example), _) => Some(example.clone()),
            (None, ArrayItems::RefOrSchema(item)) => Some(Value::Array(
                compose(item, components).into_iter().collect(),
            )),
            (None, ArrayItems::False) => Some(Value::Array(Vec::new())),
        },
        Schema::OneOf(choice) => compose(choice.items.first()?, components),
        Schema::AllOf(all) => {
            let parts = all.items.iter().filter_map(|s| compose(s, components));
            let members = parts.filter_map(|part| match part {
                Value::Object(members) => Some(members),
                _ => None,
            });
            Some(Value::Object(members.flatten().collect()))
        }
        _ => None,
    }
}

fn of_object(object: &Object, components: &Components) -> Option<Value> {
    let words = object.enum_values.iter().flatten();
    let mut examples = object.example.iter().chain(&object.examples).chain(words);
    if let Some(example) = examples.next() {
        return Some(example.clone());
    }
    match kind(object)? {
        Type::Boolean => Some(Value::Bool(true)),
        // What has a form needs an example of its own.
        Type::String if object.pattern.is_none() => Some(Value::from("text")),
        Type::Integer | Type::Number => Some(Value::from(1)),
        Type::Object => {
            let mut members = Map::new();
            for (name, schema) in &object.properties {
                if let Some(example) = compose(schema, components) {
                    members.insert(name.clone(), example);
                }
            }
            Some(Value::Object(members))
        }
        _ => None,
    }
}

fn kind(object: &Object) -> Option<&Type> {
    match &object.schema_type {
        SchemaType::Type(kind) => Some(kind),
        SchemaType::Array(kinds) => kinds.first(),
        SchemaType::AnyValue => None,
    }
}
