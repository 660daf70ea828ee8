//! What the reply to a conditional write means.
//!
//! S3 answers 412 both when another was faster and when the SDK's own retry met our first write, whose reply was lost;
//! only the object itself can tell the two apart. 409 decides nothing. No answer decides nothing, either, and leaves a
//! write that may still arrive: sending the same bytes under the same condition again is harmless, for one of the two
//! wins at the most.

/// The condition a write is sent under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `If-None-Match: *`: there is no such object.
    Absent,
    /// `If-Match`: the object still has this `ETag`.
    Unchanged(String),
}

/// The two headers of a conditional write, as they go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    /// `If-None-Match`.
    pub if_none_match: Option<&'static str>,
    /// `If-Match`.
    pub if_match: Option<&'a str>,
}

impl Condition {
    /// The headers that make S3 hold to it.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        match self {
            Self::Absent => Headers { if_none_match: Some("*"), if_match: None },
            Self::Unchanged(etag) => Headers { if_none_match: None, if_match: Some(etag) },
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// 200, with the `ETag` of what was written.
    Written(String),
    /// 412.
    PreconditionFailed,
    /// 409.
    Conflict,
    /// 404 under `If-Match`: the object is gone.
    Missing,
    /// A time-out, a cut connection, a server error: anything may have happened.
    NoAnswer,
}

/// An object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its bytes.
    pub body: Vec<u8>,
    /// Its `ETag`.
    pub etag: String,
}

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is there, and it is ours, with this `ETag`.
    Ours(String),
    /// Another's object is there.
    Others(Object),
    /// The object that was to be replaced is gone.
    Gone,
    /// Nobody knows: no answer until the deadline.
    Unknown,
}

/// What to do next about one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteStep {
    /// It is ours, with this `ETag`.
    Won(String),
    /// It is another's.
    Lost(Object),
    /// The object that was to be replaced is gone. For the cluster record that is an error, never a chance.
    Gone,
    /// Read the object and judge again with what was read.
    ReadBack,
    /// Send the same bytes under the same condition again.
    Again,
}

/// Judges a reply. `read_back` is what a read after the reply found: `None` before any read, `Some(None)` for no
/// object.
#[must_use]
pub fn judge(intended: &[u8], condition: &Condition, reply: &Reply, read_back: Option<Option<&Object>>) -> WriteStep {
    match (reply, read_back) {
        (Reply::Written(etag), _) => WriteStep::Won(etag.clone()),
        (Reply::Conflict, _) => WriteStep::Again,
        (Reply::Missing | Reply::PreconditionFailed | Reply::NoAnswer, None) => WriteStep::ReadBack,
        (_, Some(Some(object))) if object.body == intended => WriteStep::Won(object.etag.clone()),
        (Reply::Missing | Reply::PreconditionFailed, Some(found)) => found.map_or_else(
            || match condition {
                Condition::Unchanged(_) => WriteStep::Gone,
                Condition::Absent => WriteStep::Again,
            },
            |object| WriteStep::Lost(object.clone()),
        ),
        (Reply::NoAnswer, Some(found)) => match (condition, found) {
            // Nothing has changed: the write was lost on the way, or is still under way.
            (Condition::Absent, None) => WriteStep::Again,
            (Condition::Unchanged(etag), Some(object)) if object.etag == *etag => WriteStep::Again,
            // The condition can never hold again, so the write can never land.
            (Condition::Absent | Condition::Unchanged(_), Some(object)) => WriteStep::Lost(object.clone()),
            (Condition::Unchanged(_), None) => WriteStep::Gone,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_is_one_header() {
        assert_eq!(Condition::Absent.headers(), Headers { if_none_match: Some("*"), if_match: None });
        let unchanged = Condition::Unchanged("e1".into());
        assert_eq!(unchanged.headers(), Headers { if_none_match: None, if_match: Some("e1") });
    }

    fn object(body: &str, etag: &str) -> Object {
        Object { body: body.into(), etag: etag.into() }
    }

    #[test]
    fn every_reply_means_one_thing() {
        let absent = Condition::Absent;
        let unchanged = Condition::Unchanged("e1".into());
        let mine = object("mine", "e2");
        let other = object("other", "e3");
        let before = object("before", "e1");
        let lost = |object: &Object| WriteStep::Lost(object.clone());
        let won = |etag: &str| WriteStep::Won(etag.into());
        let rows: Vec<(&Condition, Reply, Option<Option<&Object>>, WriteStep)> = vec![
            (&absent, Reply::Written("e2".into()), None, won("e2")),
            (&unchanged, Reply::Written("e2".into()), None, won("e2")),
            (&absent, Reply::PreconditionFailed, None, WriteStep::ReadBack),
            (&absent, Reply::PreconditionFailed, Some(Some(&mine)), won("e2")),
            (&absent, Reply::PreconditionFailed, Some(Some(&other)), lost(&other)),
            (&absent, Reply::PreconditionFailed, Some(None), WriteStep::Again),
            (&unchanged, Reply::PreconditionFailed, Some(Some(&mine)), won("e2")),
            (&unchanged, Reply::PreconditionFailed, Some(Some(&other)), lost(&other)),
            (&unchanged, Reply::PreconditionFailed, Some(None), WriteStep::Gone),
            (&absent, Reply::Conflict, None, WriteStep::Again),
            (&unchanged, Reply::Conflict, Some(Some(&other)), WriteStep::Again),
            (&unchanged, Reply::Missing, None, WriteStep::ReadBack),
            (&unchanged, Reply::Missing, Some(None), WriteStep::Gone),
            (&unchanged, Reply::Missing, Some(Some(&other)), lost(&other)),
            (&absent, Reply::NoAnswer, None, WriteStep::ReadBack),
            (&absent, Reply::NoAnswer, Some(None), WriteStep::Again),
            (&absent, Reply::NoAnswer, Some(Some(&mine)), won("e2")),
            (&absent, Reply::NoAnswer, Some(Some(&other)), lost(&other)),
            (&unchanged, Reply::NoAnswer, Some(Some(&before)), WriteStep::Again),
            (&unchanged, Reply::NoAnswer, Some(Some(&mine)), won("e2")),
            (&unchanged, Reply::NoAnswer, Some(Some(&other)), lost(&other)),
            (&unchanged, Reply::NoAnswer, Some(None), WriteStep::Gone),
        ];
        for (condition, reply, read_back, expected) in rows {
            assert_eq!(judge(b"mine", condition, &reply, read_back), expected, "{condition:?} {reply:?} {read_back:?}");
        }
    }
}
