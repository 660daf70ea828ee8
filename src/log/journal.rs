//! One event is one entry of the journal, with one line of text in each of its fields.
//!
//! The journal's own protocol takes a message of many lines as it is, and whoever reads it by lines takes the rest for other entries.

use std::fmt::Debug;
use tracing::field::{Field, Value, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The most fields that an event can have.
const MOST: usize = 32;

/// Gives this log each event with its texts on one line, in which nothing commands a terminal.
pub struct OneLineFields<L>(pub L);

impl<S: Subscriber, L: Layer<S>> Layer<S> for OneLineFields<L> {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        self.0.on_new_span(attributes, id, ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        self.0.on_record(id, values, ctx);
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut told);
        let Some((first, _)) = told.0.first() else { return self.0.on_event(event, ctx) };
        let mut values: [(&Field, Option<&dyn Value>); MOST] = [(first, None); MOST];
        for (value, (field, text)) in values.iter_mut().zip(&told.0) {
            *value = (field, Some(text));
        }
        let metadata = event.metadata();
        let fields = metadata.fields().value_set(&values);
        let plain = match event.parent() {
            None if event.is_contextual() => Event::new(metadata, &fields),
            parent => Event::new_child_of(parent.cloned(), metadata, &fields),
        };
        self.0.on_event(&plain, ctx);
    }
}

/// The fields of an event as text.
#[derive(Default)]
struct Told(Vec<(Field, String)>);

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.clone(), super::one_line(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
