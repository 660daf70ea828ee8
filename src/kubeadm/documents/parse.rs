//! Parses the operator's file: split into documents as kubeadm splits it, each read as YAML.

use serde_json::Value;

use super::value::{at, text};
use super::{Document, DocumentRefusal, KUBEADM_GROUP, KUBEADM_VERSION};

/// Splits a file into documents and reads each of them. Empty ones are left out.
///
/// # Errors
/// Names the document that is not YAML, not a mapping, without kind, of another version, or duplicate.
pub(super) fn parse(file: &str) -> Result<Vec<Document>, DocumentRefusal> {
    let mut documents: Vec<Document> = Vec::new();
    for (number, text) in split(file).into_iter().enumerate() {
        let Some(document) = document(number + 1, text)? else {
            continue;
        };
        if documents.iter().any(|other| other.group() == document.group() && other.kind == document.kind) {
            return Err(DocumentRefusal::new(
                &document.kind,
                "kind",
                "is there twice",
                "join the two documents into one",
            ));
        }
        documents.push(document);
    }
    Ok(documents)
}

/// Splits the text as kubeadm does: at each line that begins with `---` and holds only blanks or a comment after that.
fn split(file: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for line in file.split_inclusive('\n') {
        let rest = line.strip_prefix("---").map(str::trim);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#')) {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push_str(line);
        }
    }
    parts
}

fn document(number: usize, source: String) -> Result<Option<Document>, DocumentRefusal> {
    let name = format!("document {number} of the file");
    let value = yaml(&source).map_err(|reason| DocumentRefusal::new(&name, "text", reason, "correct it"))?;
    if value.is_null() {
        return Ok(None);
    }
    if !value.is_object() {
        return Err(DocumentRefusal::new(
            &name,
            "text",
            "is not a mapping",
            "kubeadm's documents start with apiVersion and kind",
        ));
    }
    let given = |field| {
        text(&value, field).map(str::to_owned).ok_or_else(|| {
            let reason = if at(&value, field).is_some() { "is not a text" } else { "is missing" };
            DocumentRefusal::new(
                &name,
                field,
                reason,
                format!("every document needs apiVersion and kind, such as {KUBEADM_VERSION}"),
            )
        })
    };
    let (api_version, kind) = (given("apiVersion")?, given("kind")?);
    let document = Document { api_version, kind, text: source, value };
    if document.group() == KUBEADM_GROUP && document.api_version != KUBEADM_VERSION {
        return Err(DocumentRefusal::new(
            &document.kind,
            "apiVersion",
            format!("is '{}', kubeboot understands {KUBEADM_VERSION}", document.api_version.escape_debug()),
            "rewrite the file with 'kubeadm config migrate --old-config FILE --new-config NEW'",
        ));
    }
    Ok(Some(document))
}

/// Reads one YAML document as kubeadm does: `yes` and `on` are booleans and `0644` is octal, as in YAML 1.1. The error
/// gives the line and column but no text, which may hold secrets.
pub(crate) fn yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! { with_snippet: false, legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = error.without_snippet();
        match error.location() {
            Some(place) => format!("is not valid YAML at line {}, column {}", place.line(), place.column()),
            None => "is not valid YAML".to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(file: &str) -> String {
        parse(file).err().map(|refusal| refusal.to_string()).unwrap_or_default()
    }

    #[test]
    fn documents_are_split_as_kubeadm_splits_them() {
        assert_eq!(split("a\n---\nb\n--- # c\nd\n---e\n").len(), 3);
        assert_eq!(split("a: |\n  ---\n").len(), 1, "an indented line separates nothing");
    }

    #[test]
    fn yaml_is_read_as_kubeadm_reads_it() {
        let read = yaml("a: yes\nb: 0644\nc: '0644'\nd: ~\ne: &x [1]\nf: *x\ng: {<<: {h: off}}").unwrap_or_default();
        let expected =
            serde_json::json!({"a": true, "b": 420, "c": "0644", "d": null, "e": [1], "f": [1], "g": {"h": false}});
        assert_eq!(read, expected);
    }

    #[test]
    fn an_invalid_document_is_refused_by_name() {
        let table = [
            ("a: [", "document 1 of the file: text is not valid YAML at line 1"),
            ("---\n- a", "document 2 of the file: text is not a mapping"),
            ("kind: X", "document 1 of the file: apiVersion is missing"),
            ("apiVersion: v1\nkind: 5", "kind is not a text"),
            ("apiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration", "is 'kubeadm.k8s.io/v1beta3'"),
            ("apiVersion: v1\nkind: X\nkind: Y", "is not valid YAML at line 3"),
            ("apiVersion: v1\nkind: X\n---\napiVersion: v1\nkind: X", "X: kind is there twice"),
            ("secret: \"abc\n", "document 1 of the file: text is not valid YAML"),
        ];
        for (file, expected) in table {
            let refusal = refusal(file);
            assert!(refusal.contains(expected), "{refusal} does not say: {expected}");
        }
        assert!(!refusal("secret: \"abc\n").contains("abc"));
        assert_eq!(refusal("# only a comment\n---\n\n---\n"), "");
    }
}
