//! What leaves as a trace is scrubbed on its way out, as lines are (`lines.rs`): an error text may quote a provider, a URL or a
//! caller (P10).
//!
//! INVARIANT: nothing is sent that did not pass here.

use std::time::Duration;

use opentelemetry::trace::Status;
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use crate::core::scrub::scrub_text;

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
