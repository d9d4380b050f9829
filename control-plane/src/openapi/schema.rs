//! Schemas of single values, made from the constants that the checks use, so that document and checks can't differ.

use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};

use super::complete;

/// A type that stands for a schema only: `#[schema(value_type = KeyName)]`.
///
/// ```ignore
/// schema! {
///     /// A key's name.
///     pub KeyName = text(1, MAX_NAME).examples(["Mobile app"]);
/// }
/// ```
///
/// Values stand in the document wherever they are used, under the description of the field. Objects are named there: `pub
/// LimitsSchema as "RateLimits" = object(…);`.
macro_rules! schema {
    ($($(#[doc = $doc:literal])+ $vis:vis $name:ident $(as $public:literal)? = $schema:expr;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy)]
        $vis enum $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                #[allow(unused_imports, reason = "the builders are there for the schema's expression")]
                use $crate::openapi::schema::*;
                $schema.description(Some(sentences(&[$($doc),+]))).into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                // A value's name is not shown; with its module it is no other's.
                let own = concat!(module_path!(), "::", stringify!($name));
                std::borrow::Cow::Borrowed([own, $($public)?].last().copied().unwrap_or(own))
            }
        }
    )+};
}
pub(crate) use schema;

/// The lines of a doc comment as one text.
pub fn sentences(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    lines.join(" ")
}

/// A text of so many characters.
pub fn text(min: usize, max: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length((min > 0).then_some(min))
        .max_length(Some(max))
}

/// A text of a form, which is a regular expression of ECMA-262.
pub fn form(pattern: impl Into<String>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(pattern))
}

/// A whole number within bounds.
pub fn whole(min: u32, max: u32) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(min))
        .maximum(Some(max))
}

/// A count that nothing bounds.
pub fn count() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0_u32))
}

/// One of the words that [`crate::validate::Checks::word`] takes; the first is the example.
pub fn word<T>(words: &[(&'static str, T)]) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words.iter().map(|(word, _)| *word)))
        .examples(words.first().map(|(word, _)| *word))
}

/// At most so many values of a kind.
pub fn list<T: utoipa::PartialSchema>(max: usize) -> ArrayBuilder {
    ArrayBuilder::new().items(T::schema()).max_items(Some(max))
}

/// For `additional_properties`: members that are not known are let be.
pub const OPEN: Option<AdditionalProperties<Schema>> = Some(AdditionalProperties::FreeForm(true));

/// An object with exactly these members: name, schema, whether it is always there.
pub fn object<const N: usize>(members: [(&str, RefOr<Schema>, bool); N]) -> ObjectBuilder {
    let mut object = ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    for (name, schema, always) in members {
        object = object.property(name, schema);
        if always {
            object = object.required(name);
        }
    }
    object
}

/// The schema of a type.
pub fn of<T: utoipa::PartialSchema>() -> RefOr<Schema> {
    T::schema()
}

/// The schema of a value that may be `null`.
pub fn or_null<T: utoipa::PartialSchema>() -> RefOr<Schema> {
    match T::schema() {
        RefOr::T(Schema::Object(value)) => complete::with_null(value).into(),
        other => other,
    }
}

/// Counts by name.
pub fn counts() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(count()))
}

/// An object of any content.
pub fn any_object() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(OPEN)
}
