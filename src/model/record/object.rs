//! How the small objects in the bucket are written and read.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The bytes to store: JSON that a person reads, too. Equal objects give equal bytes, so that a read-back can be
/// compared whole.
pub(in crate::model) fn to_bytes(object: &impl Serialize) -> Vec<u8> {
    let mut bytes =
        serde_json::to_vec_pretty(object).expect("our objects have string keys only, so each is always valid JSON");
    bytes.push(b'\n');
    bytes
}

/// Reads an object of this schema. The schema is looked at first, so that another version's object is named as that.
pub(in crate::model) fn read<T: DeserializeOwned>(bytes: &[u8], schema: u32) -> Result<T, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match value.get("schema").and_then(Value::as_u64) {
        Some(found) if found != u64::from(schema) => {
            Err(format!("it has schema {found}, this kubeboot reads schema {schema}"))
        }
        _ => serde_json::from_value(value).map_err(|error| error.to_string()),
    }
}
