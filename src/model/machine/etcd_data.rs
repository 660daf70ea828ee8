//! What lies in etcd's data folder, by etcd's own write-ahead log: whose it is, whatever marker lies beside it.

use crate::model::machine::ids::{ClaimId, EtcdClusterId, MemberId};
use sha1::{Digest, Sha1};
use std::net::{IpAddr, SocketAddr};

/// The port on which kubeadm's etcd listens to its peers.
pub const PEER_PORT: u16 = 2380;

/// What lies in etcd's data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EtcdData {
    /// No data of a member: no write-ahead log.
    Nothing,
    /// etcd is external: its data is not on this machine.
    Elsewhere,
    /// The data of one member.
    Of(EtcdIds),
    /// Data of a member that nobody can name.
    Unreadable {
        /// Why not.
        why: String,
    },
}

/// The IDs that etcd writes at the head of every file of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EtcdIds {
    /// The member.
    pub member: MemberId,
    /// Its cluster.
    pub cluster: EtcdClusterId,
}

impl EtcdIds {
    /// The IDs of the etcd that `kubeadm init` makes at this address under this claim, whose ID is the token of the initial
    /// cluster. Source: etcd, `server/etcdserver/api/membership`, `computeMemberID` and `genID`.
    #[must_use]
    pub fn of_init(claim: &ClaimId, address: IpAddr) -> Self {
        let url = format!("https://{}", SocketAddr::new(address, PEER_PORT));
        let member = leading(&Sha1::digest([url.as_bytes(), claim.as_str().as_bytes()].concat()));
        let cluster = leading(&Sha1::digest(member.to_be_bytes()));
        Self { member: MemberId(member), cluster: EtcdClusterId(cluster) }
    }
}

impl EtcdData {
    /// Whether an init of this claim on a machine with these addresses made it, or nothing is there. Then nobody but that init
    /// has ever written to it, as long as the claim was not flipped.
    #[must_use]
    pub fn is_at_most_of_init(&self, claim: &ClaimId, addresses: &[IpAddr]) -> bool {
        match self {
            Self::Nothing | Self::Elsewhere => true,
            Self::Of(ids) => addresses.iter().any(|address| EtcdIds::of_init(claim, *address) == *ids),
            Self::Unreadable { .. } => false,
        }
    }
}

/// The first eight bytes, as a number.
fn leading(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(n: u8) -> ClaimId {
        ClaimId::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap()
    }

    /// Made by a real etcd 3.4.23: `etcd --name n --initial-cluster n=https://10.77.0.1:2380 --initial-cluster-token
    /// 00000000-0000-4000-8000-000000000001`.
    #[test]
    fn the_ids_of_an_init_are_those_that_etcd_computes() {
        let ids = EtcdIds::of_init(&claim(1), "10.77.0.1".parse().unwrap());
        assert_eq!(
            (ids.member.to_string().as_str(), ids.cluster.to_string().as_str()),
            ("7cd9e59b95e9c007", "92469e391b35164")
        );
    }

    #[test]
    fn only_data_of_that_very_init_is_taken_for_it() {
        let here = ["10.77.0.1".parse().unwrap()];
        let own = EtcdData::Of(EtcdIds::of_init(&claim(1), here[0]));
        let rows = [
            (EtcdData::Nothing, true),
            (EtcdData::Elsewhere, true),
            (own, true),
            (EtcdData::Of(EtcdIds::of_init(&claim(2), here[0])), false),
            (EtcdData::Of(EtcdIds::of_init(&claim(1), "10.77.0.2".parse().unwrap())), false),
            (EtcdData::Unreadable { why: "w".into() }, false),
        ];
        for (data, expected) in rows {
            assert_eq!(data.is_at_most_of_init(&claim(1), &here), expected, "{data:?}");
        }
    }
}
