//! Hides secrets in what is reported about a process.

use std::sync::Arc;

/// What a hidden value is replaced with.
const HIDDEN: &str = "[hidden]";

type Filter = dyn Fn(&str) -> String + Send + Sync;

/// The values that are hidden in a text, and the filter that it passes, before it is shown.
#[derive(Clone, Default)]
pub(super) struct Redaction {
    values: Vec<String>,
    filter: Option<Arc<Filter>>,
}

impl Redaction {
    /// Hides a value from now on. An empty value would hide everything and is ignored.
    pub(super) fn hide(&mut self, value: String) {
        if !value.is_empty() {
            self.values.push(value);
        }
    }

    /// Passes all text through `filter` from now on, in place of an earlier filter.
    pub(super) fn filter(&mut self, filter: impl Fn(&str) -> String + Send + Sync + 'static) {
        self.filter = Some(Arc::new(filter));
    }

    /// The text as it may be shown.
    pub(super) fn apply(&self, text: &str) -> String {
        let shown = self.values.iter().fold(text.to_owned(), |text, value| text.replace(value, HIDDEN));
        match &self.filter {
            Some(filter) => filter(&shown),
            None => shown,
        }
    }
}
