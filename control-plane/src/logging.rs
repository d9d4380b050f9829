//! Logs on standard error: for people on a terminal, else one JSON object a line; and traces, where a collector is
//! configured.
//!
//! Every line that is written while a request is served carries `request_id`, and `trace_id` if the request has one.

mod json;

use std::fmt::{self, Debug};
use std::io::{IsTerminal, stderr};

use anyhow::Context;
use opentelemetry::trace::TracerProvider;
use reqwest::Url;
use tracing::field::Field;
use tracing_subscriber::filter::{Directive, LevelFilter, Targets};
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{LogArgs, LogFormat};
use crate::tracing_export::{self, Traces};

/// Libraries that would show headers or bodies at their finest levels: capped, whatever is asked for.
const CAPPED: [&str; 7] = [
    "hyper=info",
    "hyper_util=info",
    "reqwest=info",
    "h2=info",
    "rustls=info",
    "opentelemetry_http=info",
    "opentelemetry_otlp=info",
];

/// Starts logging, and the export of traces to `collector`, which must be inside the runtime.
///
/// # Errors
/// When the levels can't be read, or the export not be set up.
pub fn start(args: &LogArgs, collector: Option<&Url>) -> anyhow::Result<Traces> {
    let filter = capped(
        match args.log.as_deref().filter(|levels| !levels.is_empty()) {
            Some(levels) => {
                EnvFilter::try_new(levels).context("KEYWARD_LOG holds no levels of logging")?
            }
            None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
        },
    );
    let is_json = match args.log_format {
        LogFormat::Auto => !stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let lines = layer().with_writer(stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if is_json {
        let lines = lines.fmt_fields(json::Members);
        Box::new(lines.event_format(json::FlatJson).with_filter(filter))
    } else {
        Box::new(lines.fmt_fields(debug_fn(text_field)).with_filter(filter))
    };
    let traces = collector.map(tracing_export::start).transpose()?;
    // Only our own spans: those of libraries may hold what nobody has looked through.
    let ours = Targets::new().with_target("keyward", LevelFilter::INFO);
    let spans = traces.as_ref().map(|traces| {
        tracing_opentelemetry::layer()
            .with_tracer(traces.provider().tracer("keyward"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(ours)
    });
    tracing_subscriber::registry()
        .with(lines)
        .with(spans)
        .init();
    Ok(traces.unwrap_or_default())
}

/// A field for people. Those whose names have a dot are for traces.
fn text_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    match field.name() {
        "message" => write!(writer, "{value:?}"),
        name if name.contains('.') => Ok(()),
        name => write!(writer, " {name}={value:?}"),
    }
}

fn capped(filter: EnvFilter) -> EnvFilter {
    let directives: Vec<Directive> = CAPPED.iter().filter_map(|d| d.parse().ok()).collect();
    directives
        .into_iter()
        .fold(filter, EnvFilter::add_directive)
}
