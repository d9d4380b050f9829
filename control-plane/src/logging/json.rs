//! A line of the log as one flat JSON object: time, level and module, then what the spans around the event and the event
//! itself say.
//!
//! A span's field whose name has a dot is for traces, where names follow OpenTelemetry, and is left out.

use std::fmt::{self, Debug};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes events as flat JSON objects.
#[derive(Debug, Clone, Copy)]
pub struct FlatJson;

/// Keeps a span's fields as members of an object, each with a comma before it.
#[derive(Debug, Clone, Copy)]
pub struct Members;

impl<'w> FormatFields<'w> for Members {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        write_members(writer, fields, true)
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        write_members(current.as_writer(), fields, true)
    }
}

impl<S> FormatEvent<S, Members> for FlatJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, Members>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = OffsetDateTime::now_utc().format(&Rfc3339);
        let metadata = event.metadata();
        write!(
            writer,
            r#"{{"timestamp":"{}","level":"{}","target":"{}""#,
            now.unwrap_or_default(),
            metadata.level(),
            metadata.target(),
        )?;
        for span in ctx.event_scope().into_iter().flat_map(|s| s.from_root()) {
            let extensions = span.extensions();
            if let Some(members) = extensions.get::<FormattedFields<Members>>() {
                writer.write_str(&members.fields)?;
            }
        }
        write_members(writer.by_ref(), event, false)?;
        writer.write_str("}\n")
    }
}

fn write_members(writer: Writer<'_>, fields: impl RecordFields, of_span: bool) -> fmt::Result {
    let mut visitor = MemberVisitor {
        writer,
        of_span,
        outcome: Ok(()),
    };
    fields.record(&mut visitor);
    visitor.outcome
}

struct MemberVisitor<'w> {
    writer: Writer<'w>,
    of_span: bool,
    outcome: fmt::Result,
}

impl MemberVisitor<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name();
        let is_hidden = if self.of_span {
            name.contains('.')
        } else {
            // What comes through the `log` facade carries fields of that facade.
            name.starts_with("log.")
        };
        if !is_hidden && self.outcome.is_ok() {
            let name = Value::from(name);
            self.outcome = write!(self.writer, ",{name}:{}", value.into());
        }
    }
}

impl Visit for MemberVisitor<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}"));
    }
}
