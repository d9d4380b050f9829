//! Traces for an OpenTelemetry collector: OTLP, http/protobuf.
//!
//! Spans are put in a bounded queue and sent by a thread of their own. A collector that is slow or dead costs spans,
//! and never time: what does not fit is dropped.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::global;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{
    Bytes, HeaderExtractor, HeaderInjector, HttpClient, HttpError, Request, Response,
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::{Client, Url};
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// How long the collector may take for one batch.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last spans may take when the program ends.
const FLUSH: Duration = Duration::from_secs(3);
/// An answer of the collector is read up to here.
const MAX_ANSWER: usize = 64 * 1024;

/// The export of traces, if there is one.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Where tracers come from; one that makes nothing without a collector.
    pub fn provider(&self) -> SdkTracerProvider {
        self.0.clone().unwrap_or_default()
    }

    /// Sends what is left, within bounds.
    pub async fn flush(self) {
        let Some(provider) = self.0 else {
            return;
        };
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH));
        if !matches!(flushed.await, Ok(Ok(()))) {
            tracing::warn!("the last traces could not be sent");
        }
    }
}

/// Starts the export to a collector, inside the runtime.
///
/// # Errors
/// When it can't be set up.
pub fn start(collector: &Url) -> anyhow::Result<Traces> {
    let client = Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("no HTTP client can be made")?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Sender {
            client,
            runtime: Handle::current(),
        })
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(collector.as_str())
        .with_timeout(TIMEOUT)
        .build()
        .context("traces can't be exported")?;
    let resource = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    // OTEL_SERVICE_NAME wins.
    let resource = if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource.with_service_name("keyward").build()
    } else {
        resource.build()
    };
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    Ok(Traces(Some(provider)))
}

/// Sends the batches in the program's runtime: the exporter's thread has none.
#[derive(Debug)]
struct Sender {
    client: Client,
    runtime: Handle,
}

impl Sender {
    async fn send(client: Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut answer = client.execute(request.try_into()?).await?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err("the collector's answer is too long".into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response::builder().status(status).body(body.into())?)
    }
}

impl HttpClient for Sender {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let sending = self.runtime.spawn(Self::send(self.client.clone(), request));
        Box::pin(async move { sending.await? })
    }
}

/// Makes a span a child of the caller's, as `traceparent` and `tracestate` name it (W3C Trace Context). Gives the
/// trace's id, if the caller named one that can be read.
pub fn adopt(span: &Span, headers: &axum::http::HeaderMap) -> Option<String> {
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    let trace = {
        let context = parent.span().span_context().clone();
        context.is_valid().then(|| context.trace_id().to_string())
    };
    // Without an export there is nothing that could have a parent.
    let _ = span.set_parent(parent);
    trace
}

/// Names the trace that a span belongs to, if traces are made.
pub fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| context.trace_id().to_string())
}

/// Gives a span a name that is known only now.
pub fn rename(span: &Span, name: String) {
    span.context().span().update_name(name);
}

/// The place of the current span in its trace, to be handed on to other work.
pub fn current() -> Context {
    Span::current().context()
}

/// Writes the place of the current span into the headers of a request to somebody else.
pub fn inject(headers: &mut axum::http::HeaderMap) {
    let context = current();
    global::get_text_map_propagator(|p| p.inject_context(&context, &mut HeaderInjector(headers)));
}
