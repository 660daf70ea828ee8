//! Access to the fields of a parsed document. A field that is `null` or an empty text counts as not given, as in kubeadm.

use serde_json::{Map, Value};

use super::DocumentRefusal;

/// The value at a dotted path, if given.
pub(super) fn at<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    let found = path.split('.').try_fold(document, |value, key| value.get(key))?;
    (!found.is_null() && found.as_str() != Some("")).then_some(found)
}

/// The text at a dotted path, if given.
pub(super) fn text<'a>(document: &'a Value, path: &str) -> Option<&'a str> {
    at(document, path)?.as_str()
}

/// The elements of the list at a dotted path; none if it is not given.
pub(super) fn list<'a>(document: &'a Value, path: &str) -> &'a [Value] {
    at(document, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The texts of the list at a dotted path.
pub(super) fn texts<'a>(document: &'a Value, path: &str) -> impl Iterator<Item = &'a str> {
    list(document, path).iter().filter_map(Value::as_str)
}

/// Names and values of a list of arguments or environment variables, which v1beta4 writes as `{name, value}`.
pub(super) fn pairs<'a>(document: &'a Value, path: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    list(document, path).iter().filter_map(|pair| {
        let name = pair.get("name")?.as_str()?;
        Some((name, pair.get("value").and_then(Value::as_str).unwrap_or_default()))
    })
}

/// A flag of Kubernetes' own programs.
pub(super) struct Flag<'a> {
    /// Its name as the program takes it.
    pub(super) name: String,
    /// Its name as it stands in the document.
    pub(super) written: &'a str,
    /// Its value.
    pub(super) value: &'a str,
}

/// The flags that a list of arguments gives to the API server, the controller manager, the scheduler or kubelet: `_` in a name is `-` to
/// all of them (`WordSepNormalizeFunc` of k8s.io/component-base/cli/flag). etcd takes names as they are: its arguments are [`pairs`].
pub(super) fn flags<'a>(document: &'a Value, path: &str) -> impl Iterator<Item = Flag<'a>> {
    pairs(document, path).map(|(written, value)| Flag { name: written.replace('_', "-"), written, value })
}

/// The mapping at a dotted path, made if it is not given.
pub(super) fn mapping<'a>(document: &'a mut Value, path: &str) -> Result<&'a mut Map<String, Value>, DocumentRefusal> {
    let kind = text(document, "kind").unwrap_or_default().to_owned();
    let mut place = document;
    for key in path.split('.').filter(|key| !key.is_empty()) {
        let map = place.as_object_mut().ok_or_else(|| not_a("mapping", &kind, path))?;
        place = map.entry(key).or_insert(Value::Null);
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
    }
    place.as_object_mut().ok_or_else(|| not_a("mapping", &kind, path))
}

/// The list at a dotted path, made if it is not given.
pub(super) fn list_mut<'a>(document: &'a mut Value, path: &str) -> Result<&'a mut Vec<Value>, DocumentRefusal> {
    let kind = text(document, "kind").unwrap_or_default().to_owned();
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    let place = mapping(document, parent)?.entry(key).or_insert(Value::Null);
    if place.is_null() {
        *place = Value::Array(Vec::new());
    }
    place.as_array_mut().ok_or_else(|| not_a("list", &kind, path))
}

/// Sets the text at a dotted path to `ours`. A text that is there and different is refused.
pub(super) fn fill(document: &mut Value, path: &str, ours: &str, remedy: &str) -> Result<(), DocumentRefusal> {
    if let Some(theirs) = at(document, path) {
        if theirs.as_str().is_some_and(|theirs| theirs.eq_ignore_ascii_case(ours)) {
            return Ok(());
        }
        return Err(DocumentRefusal::different(document, path, theirs, ours, remedy));
    }
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    mapping(document, parent)?.insert(key.to_owned(), ours.into());
    Ok(())
}

/// A field of another shape than kubeadm wants.
pub(super) fn not_a(shape: &str, kind: &str, path: &str) -> DocumentRefusal {
    DocumentRefusal::new(kind, path, format!("is not a {shape}"), "write it as kubeadm.k8s.io/v1beta4 has it")
}
