# A control plane: identical machines in one Auto Scaling group, which kubeboot makes one cluster. A module: the provider,
# with the tags of everything, is the root's.
#
# Read on in this order:
#   bucket.tf         where the machines agree, and what keeps it whole
#   keys.tf           under which keys it is kept
#   snapshots.tf      where etcd is saved, and the alarm when it is not
#   iam.tf            what a machine may do, and nothing else
#   network.tf        who may talk to whom
#   endpoint.tf       the one name under which the API servers are found
#   user-data.tf      what a machine is told at its first boot
#   machines.tf       launch template and group
#   guard.tf          what refuses to destroy it by mistake, and the waiting
#   workers.tf        who may talk to workers, and they to whom
#   private.tf        the variant without internet access

locals {
  name      = "${var.cluster_name}-control-plane"
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
  zones     = distinct([for subnet in data.aws_subnet.control_plane : subnet.availability_zone])

  # Every object of the cluster is below this folder, as in kubeboot's setting `prefix`.
  prefix     = var.cluster_name
  record_key = "${local.prefix}/control-plane/cluster.json"

  port = 6443

  # The name without which the group is not known to the policies and to the record.
  group_arn = "arn:${local.partition}:autoscaling:${local.region}:${local.account}:autoScalingGroup:*:autoScalingGroupName/${local.name}"

  tags = merge(var.tags, { "kubeboot-cluster" = var.cluster_name })
}
