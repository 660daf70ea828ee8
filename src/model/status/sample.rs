//! A healthy control plane of three, for tests.

use super::*;
use crate::model::machine::etcd_data::{EtcdData, EtcdIds};
use crate::model::machine::group::{Ec2State, Group, GroupMember, Lifecycle};
use crate::model::machine::ids::{ClaimId, EtcdClusterId, MemberId, Uid};
use crate::model::machine::local::Local;
use crate::model::machine::node_marks::{LABELS, NodeMarks, Taint};
use crate::model::membership::members::{Member, Members};
use crate::model::membership::registration::{Registration, SCHEMA, Versions};
use crate::model::record::cluster::Published;
use crate::model::record::identity::Identity;
use crate::model::upgrade::{ClusterVersions, KubernetesUpgrade, RestOutcome, RestStep, StepOutcome};
use crate::model::version::Release;
use std::net::IpAddr;

pub(crate) const UID: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
pub(crate) const OTHER_UID: &str = "0d3c3a46-2f0f-4a44-a3d3-6a6a1f6a9a55";
pub(crate) const GROUP: &str =
    "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:c577349c:autoScalingGroupName/demo";
pub(crate) const HASH: &str = "sha256:1111";

pub(crate) fn id(n: u8) -> InstanceId {
    InstanceId::parse(format!("i-0a1b2c3d4e5f6071{n}")).unwrap()
}

pub(crate) fn member_id(n: u8) -> MemberId {
    MemberId(0x5d1e_0000_c0de_0000 + u64::from(n))
}

pub(crate) fn address(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 1, 10 + n])
}

pub(crate) fn identity() -> Identity {
    Identity {
        account: "123456789012".into(),
        region: "eu-central-1".into(),
        group_arn: GROUP.into(),
        endpoint: "api.demo.internal:6443".into(),
        service_subnet: "10.96.0.0/12".into(),
    }
}

pub(crate) fn published() -> Published {
    Published {
        ca_hashes: vec![HASH.into()],
        kube_system_uid: Uid::parse(UID).unwrap(),
        etcd_cluster_id: Some(EtcdClusterId(7)),
        kubernetes_version: "v1.36.1".into(),
        pki_key: "key".into(),
        pki_digest: "sha256:2222".into(),
        initialised_by: id(1),
        initialised_at: "2026-01-02T03:04:05Z".into(),
    }
}

pub(crate) fn record(state: RecordState) -> Known<Option<ClusterRecord>> {
    let claim_id = ClaimId::parse(UID).unwrap();
    Ok(Some(ClusterRecord {
        claim_id,
        generation: 2,
        identity: identity(),
        yielded: vec![],
        retired_claims: Vec::new(),
        superseded: Vec::new(),
        state,
    }))
}

pub(crate) fn registration(n: u8, phase: RegistrationPhase) -> Registration {
    Registration {
        schema: SCHEMA,
        instance: id(n),
        phase,
        claim_id: None,
        ready_claim: None,
        lease_nonce: None,
        node_name: format!("ip-10-0-1-{}", 10 + n),
        node_uid: None,
        provider_id: format!("aws:///a/{}", id(n)),
        addresses: vec![address(n)],
        member_id: (phase == RegistrationPhase::Joined).then_some(member_id(n)),
        versions: Versions { kubeboot: "0.1.0".into(), kubeadm: Some("v1.36.1".into()), record_schema: Some(1) },
        waits_for: None,
        retired: false,
        hook: None,
        upgraded: None,
        digests: Default::default(),
        last_error: None,
        since: "2026-01-02T03:04:05Z".into(),
        updated: "2026-01-02T03:04:05Z".into(),
        later: Default::default(),
    }
}

pub(crate) fn member(n: u8) -> Member {
    Member {
        id: member_id(n),
        name: format!("ip-10-0-1-{}", 10 + n),
        peer_addresses: vec![address(n)],
        learner: false,
        answers: true,
    }
}

pub(crate) fn group_member(n: u8) -> GroupMember {
    GroupMember {
        instance: id(n),
        lifecycle: Lifecycle::InService,
        healthy: true,
        ec2: Some(Ec2State::Running),
        addresses: vec![address(n)],
    }
}

pub(crate) fn zone(n: u8) -> String {
    format!("eu-central-1{}", char::from(b'a' + n - 1))
}

pub(crate) fn endpoint_answer(uid: &str) -> EndpointAnswer {
    EndpointAnswer::ApiServer { ready: Ok(()), kube_system_uid: Ok(Uid::parse(uid).unwrap()) }
}

pub(crate) fn api_server() -> ApiServer {
    ApiServer {
        ready: Ok(()),
        kube_system_uid: Ok(Uid::parse(UID).unwrap()),
        version: Some("v1.36.1".into()),
        node: Ok(Some(node_status())),
    }
}

pub(crate) fn node_status() -> NodeStatus {
    NodeStatus {
        ready: true,
        kubelet_version: Some("v1.36.1".into()),
        provider_id: None,
        marks: NodeMarks { labels: LABELS.map(str::to_owned).into(), taints: vec![Taint::of_control_plane()] },
    }
}

pub(crate) fn healthy() -> StatusInput {
    let all = 1..=3;
    StatusInput {
        here: StatusOrigin {
            machine: Ok(ThisMachine { instance: id(1), account: "123456789012".into(), region: "eu-central-1".into() }),
            addresses: vec![address(1)],
            endpoint: "api.demo.internal:6443".into(),
            service_subnet: Some("10.96.0.0/12".into()),
            expected_size: None,
            marks_nodes: true,
            local: Ok(Local::Made {
                instance: id(1),
                claim_id: ClaimId::parse(UID).unwrap(),
                member: Some(member_id(1)),
            }),
            lost_files: None,
            data: Ok(EtcdData::Of(EtcdIds { member: member_id(1), cluster: EtcdClusterId(7) })),
            certificates: Ok(vec![certificate(364)]),
            leaving_unit: Ok(LeavingUnitState::Armed),
            missing_drop_ins: Vec::new(),
            aside: Vec::new(),
        },
        record: record(RecordState::Ready(published())),
        record_deleted: false,
        hash: Ok(Some(format!("{HASH}\n"))),
        lease: Ok(None),
        registrations: Ok(all.clone().map(|n| (id(n), Ok(registration(n, RegistrationPhase::Joined)))).collect()),
        group: Ok(Some(Group {
            name: "demo".into(),
            arn: GROUP.into(),
            desired: 3,
            zones: all.clone().map(zone).collect(),
            retains: false,
            members: all.clone().map(group_member).collect(),
        })),
        ec2: Ok(all.clone().map(|n| (id(n), Ec2State::Running)).collect()),
        zones: all.clone().map(|n| (id(n), zone(n))).collect(),
        endpoint: Ok(vec![EndpointAddress { address: IpAddr::from([10, 0, 9, 9]), answer: endpoint_answer(UID) }]),
        etcd: stacked([member(1), member(2), member(3)]),
        without_claim: Vec::new(),
        beside: Vec::new(),
        snapshots: Ok(Some(SnapshotStatus {
            age: crate::model::snapshot::SnapshotAge {
                last: Some(std::time::Duration::from_secs(300)),
                record: std::time::Duration::from_secs(86_400),
            },
            interval: std::time::Duration::from_secs(900),
            last: Some((12_345, 20_512)),
        })),
        upgrade: Ok(None),
        api_servers: Ok(all.map(|n| (id(n), api_server())).collect()),
    }
}

pub(crate) fn certificate(days: i64) -> CertificateExpiry {
    CertificateExpiry { file: "/etc/kubernetes/pki/apiserver.crt".into(), expires: "2027-01-01T00:00:00Z".into(), days }
}

pub(crate) fn stacked(members: impl IntoIterator<Item = Member>) -> Known<Etcd> {
    let members: Vec<Member> = members.into_iter().collect();
    let report = MemberStatus { at: None, version: "3.6.8".into(), errors: Vec::new() };
    let reports = members.iter().filter(|member| member.answers).map(|member| (member.id, report.clone())).collect();
    Ok(Etcd::Stacked { members: Members(members), certain: true, reports })
}

/// In the middle of an upgrade to v1.37.0, whose rest was tried too early.
pub(crate) fn upgrading() -> ClusterVersions {
    let (from, to) = (Release::new(1, 36, 1), Release::new(1, 37, 0));
    let step =
        StepOutcome { step: RestStep::Coredns, left_out: false, text: "registry.k8s.io/coredns/coredns:v1".into() };
    let by = (id(1), "2026-01-02T03:04:05Z".to_owned());
    let outcome = RestOutcome::of_attempt((from, to), None, vec![step], Some("kubeadm has failed"), by);
    ClusterVersions {
        setting: KubernetesUpgrade::ByImage,
        cluster: to,
        made: from,
        outcome: Some(outcome),
        kube_proxy: Some(from),
    }
}
