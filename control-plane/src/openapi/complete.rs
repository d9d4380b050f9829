//! What all operations have in common is added here, so that no route has to repeat it: the failures that the
//! extractors give, the request's id, examples of answers.

use std::collections::BTreeMap;

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, Object, OneOf, SchemaType, Type};
use utoipa::openapi::{Components, OpenApi, Ref, RefOr, Response, Schema};

use super::{Access, access, answers, examples, operations_mut};

const SCHEMAS: &str = "#/components/schemas/";

/// Completes a document that was put together from annotations.
pub fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    answers::describe(components);
    let values = take_values(components);
    for schema in components.schemas.values_mut() {
        settle(schema, &values);
    }
    name_rows(components);
    for item in document.paths.paths.values_mut() {
        for operation in operations_mut(item) {
            settle_operation(operation, &values);
            add_answers(operation);
            examples::add(operation, components);
        }
    }
}

/// Takes the schemas of single values out of the components: in the document they stand where they are used.
fn take_values(components: &mut Components) -> BTreeMap<String, Schema> {
    let (values, objects) = std::mem::take(&mut components.schemas)
        .into_iter()
        .partition::<BTreeMap<_, _>, _>(|(_, schema)| is_value(schema));
    components.schemas = objects;
    values
        .into_iter()
        .filter_map(|(name, schema)| match schema {
            RefOr::T(schema) => Some((name, schema)),
            RefOr::Ref(_) => None,
        })
        .collect()
}

fn is_value(schema: &RefOr<Schema>) -> bool {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            !matches!(
                object.schema_type,
                SchemaType::Type(Type::Object) | SchemaType::AnyValue
            ) && object.properties.is_empty()
        }
        RefOr::T(Schema::Array(array)) => match &array.items {
            ArrayItems::RefOrSchema(item) => is_value(item),
            ArrayItems::False => true,
        },
        _ => false,
    }
}

/// Puts values in place of their names, and `null` into their types.
fn settle(schema: &mut RefOr<Schema>, values: &BTreeMap<String, Schema>) {
    if let RefOr::Ref(named) = schema
        && let Some(value) = value_of(named, values)
    {
        *schema = RefOr::T(value);
    }
    let RefOr::T(content) = schema else { return };
    match content {
        Schema::Object(object) => {
            for property in object.properties.values_mut() {
                settle(property, values);
            }
            if let Some(more) = &mut object.additional_properties
                && let AdditionalProperties::RefOr(more) = &mut **more
            {
                settle(more, values);
            }
        }
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(item) = &mut array.items {
                settle(item, values);
            }
        }
        Schema::OneOf(choice) => {
            for item in &mut choice.items {
                settle(item, values);
            }
            if let Some(value) = or_null(choice) {
                *content = value;
            }
        }
        Schema::AllOf(all) => {
            for item in &mut all.items {
                settle(item, values);
            }
        }
        _ => {}
    }
}

/// Pages repeat the schema of their rows, which has a name.
fn name_rows(components: &mut Components) {
    let named = components.schemas.clone();
    for page in components.schemas.values_mut() {
        let RefOr::T(Schema::Object(page)) = page else {
            continue;
        };
        for property in page.properties.values_mut() {
            if let RefOr::T(Schema::Array(list)) = property
                && let ArrayItems::RefOrSchema(row) = &mut list.items
                && let Some((name, _)) = named.iter().find(|(_, schema)| *schema == &**row)
            {
                **row = RefOr::Ref(Ref::from_schema_name(name));
            }
        }
    }
}

fn value_of(named: &Ref, values: &BTreeMap<String, Schema>) -> Option<Schema> {
    let name = named.ref_location.strip_prefix(SCHEMAS)?;
    let mut value = values.get(name)?.clone();
    describe(&mut value, &named.description);
    Some(value)
}

/// The description of a field stands over that of its kind of value.
fn describe(value: &mut Schema, description: &str) {
    if description.is_empty() {
        return;
    }
    match value {
        Schema::Object(object) => object.description = Some(description.to_owned()),
        Schema::Array(array) => array.description = Some(description.to_owned()),
        _ => {}
    }
}

/// A choice between a value and `null`, as OpenAPI 3.1 writes it: `"type": ["string", "null"]`.
fn or_null(choice: &OneOf) -> Option<Schema> {
    let [RefOr::T(value), RefOr::T(Schema::Object(null))] = choice.items.as_slice() else {
        return None;
    };
    if null.schema_type != SchemaType::Type(Type::Null) {
        return None;
    }
    let mut value = match value {
        Schema::Object(object) => Schema::Object(with_null(object.clone())),
        Schema::Array(array) => {
            let mut array = array.clone();
            array.schema_type = null_too(&array.schema_type);
            Schema::Array(array)
        }
        _ => return None,
    };
    describe(
        &mut value,
        choice.description.as_deref().unwrap_or_default(),
    );
    Some(value)
}

/// A value's schema that admits `null` too.
pub fn with_null(mut value: Object) -> Object {
    value.schema_type = null_too(&value.schema_type);
    if let Some(words) = &mut value.enum_values {
        words.push(serde_json::Value::Null);
    }
    value
}

fn null_too(kind: &SchemaType) -> SchemaType {
    match kind {
        SchemaType::Type(kind) => SchemaType::Array(vec![kind.clone(), Type::Null]),
        other => other.clone(),
    }
}

fn settle_operation(operation: &mut Operation, values: &BTreeMap<String, Schema>) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && let Some(schema) = &mut parameter.schema
        {
            settle(schema, values);
            not_null(schema);
            // A parameter has a description of its own.
            if let RefOr::T(Schema::Object(value)) = schema
                && let Some(description) = value.description.take()
                && parameter
                    .description
                    .as_deref()
                    .unwrap_or_default()
                    .is_empty()
            {
                parameter.description = Some(description);
            }
        }
    }
    let body = operation
        .request_body
        .iter_mut()
        .filter_map(|body| match body {
            RefOr::T(body) => Some(&mut body.content),
            RefOr::Ref(_) => None,
        });
    let bodies = body.flat_map(BTreeMap::values_mut);
    let answers = operation.responses.responses.values_mut();
    let answers = answers
        .filter_map(inline)
        .flat_map(|r| r.content.values_mut());
    for content in bodies.chain(answers) {
        if let RefOr::T(content) = content
            && let Some(schema) = &mut content.schema
        {
            settle(schema, values);
            not_null(schema);
        }
    }
}

/// A parameter or a body that is left out is not `null`.
fn not_null(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::OneOf(choice)) = schema
        && let [named @ RefOr::Ref(_), _] = choice.items.as_slice()
    {
        *schema = named.clone();
    }
    if let RefOr::T(Schema::Object(value)) = schema
        && let SchemaType::Array(kinds) = &value.schema_type
        && let [kind, Type::Null] = kinds.as_slice()
    {
        value.schema_type = SchemaType::Type(kind.clone());
    }
}

/// Adds the failures that follow from what an operation takes, and the request's id to its own answers.
fn add_answers(operation: &mut Operation) {
    let mut common = answers::ALWAYS.to_vec();
    let has_body = operation.request_body.is_some();
    if has_body {
        common.extend(answers::OF_BODIES);
    }
    if matches!(access(operation), Some(Access::Admin(_) | Access::AnyAdmin)) {
        common.extend(answers::OF_ADMINS);
        if has_body {
            common.extend(answers::OF_ADMINS_BODIES);
        }
    }
    for parameter in operation.parameters.iter().flatten() {
        if let RefOr::T(parameter) = parameter {
            match parameter.parameter_in {
                ParameterIn::Path => common.extend(answers::OF_IDS),
                ParameterIn::Query => common.extend(answers::OF_QUERIES),
                ParameterIn::Header if parameter.name == "If-Match" => {
                    common.extend(answers::OF_PRECONDITIONS);
                }
                ParameterIn::Header if parameter.name == "Idempotency-Key" => {
                    common.extend(answers::OF_IDEMPOTENCY_KEYS);
                }
                _ => {}
            }
        }
    }
    let responses = &mut operation.responses.responses;
    for (status, name) in common {
        let reference = || RefOr::Ref(Ref::from_response_name(name));
        responses.entry(status.to_owned()).or_insert_with(reference);
    }
    responses
        .values_mut()
        .filter_map(inline)
        .for_each(answers::add_request_id);
}

fn inline(answer: &mut RefOr<Response>) -> Option<&mut Response> {
    match answer {
        RefOr::T(answer) => Some(answer),
        RefOr::Ref(_) => None,
    }
}
