//! Who leads among programs that share one Lease of Kubernetes (`coordination.k8s.io`), for `kubeboot elect`.
//!
//! Not etcd's leader, and not the membership lease, which is an object in S3. The rules are client-go's, and stricter in three places:
//! a Lease in one's own name that this very process has not written is somebody else's; a Lease that was deleted is made anew only
//! when its last holder's time is over; and nobody is named a leader who was not seen to renew.
//!
//! Times are this machine's own, counted from its boot. The times in a Lease are another machine's: they are compared for being the
//! same, and never with a clock.

pub mod decide;
pub mod lease;
pub mod seen;
#[cfg(test)]
mod tests;

use std::time::Duration;

/// How long a Lease holds without a renewal, counted from when others have last seen it change.
pub const DURATION: Duration = Duration::from_secs(15);
/// After this time without a renewal its holder gives up, and the command that it has started is asked to end (SIGTERM).
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// After this time without a renewal that command is killed (SIGKILL): early enough to be dead when the Lease runs out.
pub const KILL_DEADLINE: Duration = Duration::from_secs(13);
/// The pause between two looks at the Lease.
pub const RETRY: Duration = Duration::from_secs(2);
