//! A refusal of something in a document, with the field's name and the remedy.

use serde_json::Value;

use super::value::text;

/// One thing in the operator's kubeadm documents that kubeboot cannot work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{document}: {field} {reason}; {remedy}")]
pub struct DocumentRefusal {
    /// The kind of the document, or which document of the file it is.
    pub document: String,
    /// The field, as a dotted path.
    pub field: String,
    /// What is wrong with it. Holds no secret value.
    pub reason: String,
    /// What the operator can do.
    pub remedy: String,
}

impl DocumentRefusal {
    pub(super) fn new(document: &str, field: &str, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { document: document.to_owned(), field: field.to_owned(), reason: reason.into(), remedy: remedy.into() }
    }

    /// A field that has another value than kubeboot knows.
    pub(super) fn different(document: &Value, field: &str, theirs: &Value, ours: &str, remedy: &str) -> Self {
        let kind = text(document, "kind").unwrap_or_default();
        Self::new(kind, field, format!("is {}, but here it is '{ours}'", shown(theirs)), remedy)
    }
}

/// A value in a message: short, and on one line.
pub(super) fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), |text| format!("'{}'", text.escape_debug()));
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
