//! The endpoint, as a client finds it from here.

use super::ReportedSource;
use crate::model::machine::ids::Uid;
use crate::model::status::{EndpointAddress, EndpointAnswer};
use serde::Serialize;

/// What answers at one of its addresses.
#[derive(Debug, Serialize)]
pub(in crate::status) struct AtEndpoint {
    pub(in crate::status) address: String,
    pub(in crate::status) serves: &'static str,
    pub(in crate::status) ready: Option<bool>,
    pub(in crate::status) why_not: Option<String>,
    pub(in crate::status) kube_system_uid: ReportedSource<Option<String>>,
}

impl AtEndpoint {
    pub(super) fn new(at: &EndpointAddress, recorded: Option<&Uid>) -> Self {
        let (ready, why_not) = match &at.answer {
            EndpointAnswer::Silent { why } | EndpointAnswer::NotTrusted { why } => (None, Some(why.clone())),
            EndpointAnswer::ApiServer { ready, .. } => (Some(ready.is_ok()), ready.as_ref().err().cloned()),
        };
        let kube_system_uid = match &at.answer {
            EndpointAnswer::ApiServer { kube_system_uid, .. } => {
                ReportedSource::of(kube_system_uid, |uid| Some(uid.to_string()))
            }
            EndpointAnswer::Silent { .. } | EndpointAnswer::NotTrusted { .. } => ReportedSource::Known(None),
        };
        Self { address: at.address.to_string(), serves: at.serves(recorded).name(), ready, why_not, kube_system_uid }
    }
}
