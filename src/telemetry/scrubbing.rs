//! What leaves as a line or a trace is scrubbed on its way out: an error text may quote a provider, a URL or a caller (P10).
//!
//! INVARIANT: nothing is written or sent that did not pass here.

use std::io::{self, Write};
use std::time::Duration;

use opentelemetry::trace::Status;
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tracing_subscriber::fmt::MakeWriter;

use crate::core::scrub::scrub_text;

/// Standard error for log lines. One line comes in one piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines;

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let (said, end) = text.strip_suffix('\n').map_or((&*text, ""), |said| (said, "\n"));
        io::stderr().lock().write_all(format!("{}{end}", scrub_text(said)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// An exporter of spans that sends them scrubbed.
#[derive(Debug)]
pub(super) struct Scrubbing<E>(pub(super) E);

impl<E: SpanExporter> SpanExporter for Scrubbing<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &mut batch {
            scrub_span(span);
        }
        self.0.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

fn scrub_span(span: &mut SpanData) {
    span.name = scrub_text(&span.name).into();
    scrub_all(&mut span.attributes);
    for event in &mut span.events.events {
        event.name = scrub_text(&event.name).into();
        scrub_all(&mut event.attributes);
    }
    if let Status::Error { description } = &mut span.status {
        *description = scrub_text(description).into();
    }
}

fn scrub_all(attributes: &mut [KeyValue]) {
    let scrubbed = |text: &StringValue| StringValue::from(scrub_text(text.as_str()));
    for attribute in attributes {
        match &mut attribute.value {
            Value::String(text) => *text = scrubbed(text),
            Value::Array(Array::String(texts)) => texts.iter_mut().for_each(|text| *text = scrubbed(text)),
            _ => {}
        }
    }
}
