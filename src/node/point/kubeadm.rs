//! The points that lie inside of a kubeadm command, told by the first line of the phase that follows.

use super::Point;
use crate::kubeadm::output::KubeadmPhase;

impl Point {
    /// The point that this step of a kubeadm command shows to be behind it. The later lines of the same phase say it again.
    pub fn behind(command: &str, phase: &KubeadmPhase) -> Option<Self> {
        match (command, phase.name.as_str()) {
            ("kubeadm init", "kubeconfig") => Some(Self::AuthoritiesMade),
            ("kubeadm init", "upload-config") => Some(Self::ControlPlaneUp),
            ("kubeadm join", "kubelet-start") => Some(Self::EtcdChecked),
            ("kubeadm join", "etcd") if phase.text.starts_with("Announced") => Some(Self::MemberAnnounced),
            ("kubeadm join", "kubelet-check") => Some(Self::MemberPromoted),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubeadm::output::phase;

    const INIT: &str = include_str!("../../../tests/fixtures/kubeadm-1.36/init.out");
    const JOIN: &str = include_str!("../../../tests/fixtures/kubeadm-1.36/join-control-plane.out");

    /// The points that an output shows, each where it comes first.
    fn shown(command: &str, output: &str) -> Vec<Point> {
        let mut points = Vec::new();
        for point in output.lines().filter_map(phase).filter_map(|phase| Point::behind(command, &phase)) {
            if !points.contains(&point) {
                points.push(point);
            }
        }
        points
    }

    #[test]
    fn the_real_outputs_show_every_point_in_order() {
        assert_eq!(shown("kubeadm init", INIT), [Point::AuthoritiesMade, Point::ControlPlaneUp]);
        let join = [Point::EtcdChecked, Point::MemberAnnounced, Point::MemberPromoted];
        assert_eq!(shown("kubeadm join", JOIN), join);
    }
}
