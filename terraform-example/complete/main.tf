# A control plane and groups of workers, in private subnets that there are already and that reach the internet by NAT.
# Whatever else the two modules take is written into their blocks here: docs/terraform.md lists it.

module "control_plane" {
  source = "../modules/control-plane"

  cluster_name = var.cluster_name
  bucket       = var.bucket
  vpc_id       = data.aws_vpc.this.id
  subnet_ids   = var.subnet_ids
  ami_id       = var.ami_id

  allowed_cidr_blocks = local.vpc_cidrs
  kubeadm_config      = var.kubeadm_config
  pod_network_ports   = var.pod_network_ports

  kubeboot_package_url    = var.kubeboot_package_url
  kubeboot_package_sha256 = var.kubeboot_package_sha256
  start                   = var.start
  session_manager         = var.session_manager
  allow_destroy           = var.allow_destroy

  iam_role_permissions_boundary = var.iam_role_permissions_boundary
  tags                          = var.tags
}

locals {
  # The ranges that were added to the VPC later are the VPC as well.
  vpc_cidrs = distinct(concat(
    [data.aws_vpc.this.cidr_block],
    [for one in data.aws_vpc.this.cidr_block_associations : one.cidr_block if one.state == "associated"],
  ))
}

# Groups of workers, which join by themselves (docs/workers.md). Nothing here waits for the control plane, since a worker
# waits itself, and says for what.
module "workers" {
  source   = "../modules/workers"
  for_each = var.workers

  name               = "${var.cluster_name}-${each.key}"
  cluster_name       = var.cluster_name
  bucket             = module.control_plane.bucket
  prefix             = module.control_plane.prefix
  bucket_kms_key_arn = module.control_plane.bucket_kms_key_arn
  security_group_ids = [module.control_plane.worker_security_group_id]

  subnet_ids                   = coalesce(each.value.subnet_ids, var.subnet_ids)
  ami_id                       = coalesce(each.value.ami_id, var.ami_id)
  instance_types               = each.value.instance_types
  min_size                     = each.value.min_size
  max_size                     = each.value.max_size
  spot_percentage              = each.value.spot_percentage
  on_demand_base               = each.value.on_demand_base
  volume_size                  = each.value.volume_size
  warm_pool                    = each.value.warm_pool
  launch_hook_timeout          = each.value.launch_hook_timeout
  terminate_hook_timeout       = each.value.terminate_hook_timeout
  settings                     = each.value.settings
  kubeadm_config               = each.value.kubeadm_config
  iam_role_additional_policies = each.value.iam_role_additional_policies

  iam_role_permissions_boundary = each.value.iam_role_permissions_boundary != null ? each.value.iam_role_permissions_boundary : var.iam_role_permissions_boundary
  pre_bootstrap_commands        = each.value.pre_bootstrap_commands
  tags                          = merge(var.tags, each.value.tags)

  kubeboot_package_url    = var.kubeboot_package_url
  kubeboot_package_sha256 = var.kubeboot_package_sha256
  start                   = var.start
  session_manager         = var.session_manager
}

# A destroy that is a mistake ends no worker, either. One that is meant for a group of them (its name is taken out of
# workers) does: this is not replaced with it, as the guard of the control plane would be.
resource "terraform_data" "guard_of_workers" {
  input = { allow_destroy = var.allow_destroy }

  provisioner "local-exec" {
    when    = destroy
    command = self.input.allow_destroy ? "exit 0" : "echo This would destroy all workers. It was refused before that. If it is meant, apply allow_destroy=true first: docs/terraform.md, Destroy. 1>&2 && exit 1"
  }

  depends_on = [module.workers]
}
