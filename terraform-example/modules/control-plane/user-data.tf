# What a machine is told at its first boot. Every machine is told the same. modules/user-data says the rest.

locals {
  launch_hook    = "join"
  terminate_hook = "leave"

  # docs/configuration.md. The number of machines is not among them: kubeboot asks the group.
  settings = merge(
    {
      cluster     = var.cluster_name
      bucket      = var.bucket
      prefix      = local.prefix
      endpoint    = local.endpoint
      region      = local.region
      group       = local.name
      kms_key_id  = local.key_arns.pki
      launch_hook = local.launch_hook
      # Also without the hook: it may be added later, for the machines that run then.
      terminate_hook     = local.terminate_hook
      kubernetes_upgrade = var.kubernetes_upgrade
    },
    local.snapshot_settings,
    var.settings,
  )
}

module "user_data" {
  source = "../user-data"

  settings                = local.settings
  kubeadm_config          = var.kubeadm_config
  kubeboot_package_url    = var.kubeboot_package_url
  kubeboot_package_sha256 = var.kubeboot_package_sha256
  start                   = var.start
  pre_bootstrap_commands  = var.pre_bootstrap_commands
}
