# What a machine is told at its first boot, of either role. None of it is secret: user data can be read by whoever may
# describe the launch template, and by every process on the machine.

terraform {
  required_version = ">= 1.9"
}

locals {
  settings_file  = "/etc/kubeboot/config.toml"
  kubeadm_file   = "/etc/kubeboot/kubeadm.yaml"
  installer_file = "/usr/local/sbin/install-kubeboot"
  before_file    = "/usr/local/sbin/before-kubeboot"

  # docs/configuration.md.
  settings = merge(var.kubeadm_config == "" ? {} : { kubeadm_config = local.kubeadm_file }, var.settings)

  files = concat(
    [{
      path        = local.settings_file
      permissions = "0600"
      # JSON's way of writing texts, numbers and lists is TOML's as well.
      content = join("", [for name, value in local.settings : "${name} = ${jsonencode(value)}\n"])
    }],
    var.kubeadm_config == "" ? [] : [{
      path        = local.kubeadm_file
      permissions = "0600"
      content     = var.kubeadm_config
    }],
    local.before == "" ? [] : [{
      path        = local.before_file
      permissions = "0755"
      content     = local.before
    }],
    var.kubeboot_package_url == "" ? [] : [{
      path        = local.installer_file
      permissions = "0755"
      content     = file("${path.module}/install-kubeboot.sh")
    }],
  )

  # Once on each machine. Where one fails nothing follows, and all of them are run again.
  before = length(var.pre_bootstrap_commands) == 0 ? "" : join("\n", concat(
    ["#!/bin/sh", "set -eu", "done=/var/lib/cloud/instance/sem/before-kubeboot", "[ ! -e \"$done\" ] || exit 0"],
    var.pre_bootstrap_commands,
    ["touch \"$done\"", ""],
  ))

  # An image with kubeboot starts the unit by itself, maybe before runcmd, so that the unit has to run them. cloud-init does
  # this before it writes the files, and the unit waits for both.
  bootcmd = local.before == "" ? {} : {
    bootcmd = [join(" && ", [
      "mkdir -p /etc/systemd/system/kubeboot.service.d",
      "printf '[Service]\\nExecStartPre=${local.before_file}\\n' >/etc/systemd/system/kubeboot.service.d/20-before.conf",
      "systemctl daemon-reload",
    ])]
  }

  # The unit runs `kubeboot up` at every boot and starts it again where that helps. Without --no-block cloud-init would
  # wait for it, and with it everything that waits for cloud-init.
  #
  # Straight from runcmd it runs once, at the first boot; what it says is in /var/log/cloud-init-output.log and on the
  # serial console. It arms kubeboot-reset.service, by which this machine leaves the cluster when it goes for good, for
  # this boot; enabled, that unit is armed at every other one, too. The agent leaves earlier, where it is given the time.
  start = {
    unit = ["systemctl enable --now --no-block kubeboot.service kubeboot-agent.service"]
    runcmd = [
      "systemctl enable kubeboot-reset.service",
      "systemctl enable --now --no-block kubeboot-agent.service",
      local.before == "" ? "kubeboot up" : "${local.before_file} && kubeboot up",
    ]
  }

  # Where the image has none, this is all that anybody would read of it.
  is_there = "command -v kubeboot || echo 'kubeboot is not in this image, and no kubeboot_package_url is set: nothing will be started' >&2"

  # runcmd is one script that goes on after a failure: what must not run without the package follows a "&&".
  commands = var.kubeboot_package_url == "" ? concat([local.is_there], local.start[var.start]) : [join(" && ", concat(
    local.before == "" ? [] : [local.before_file],
    ["${local.installer_file} '${var.kubeboot_package_url}' ${var.kubeboot_package_sha256}"],
    local.start[var.start],
  ))]

  # length() counts characters, and EC2 bytes.
  user_data_base64  = base64encode(local.user_data)
  user_data_padding = endswith(local.user_data_base64, "==") ? 2 : endswith(local.user_data_base64, "=") ? 1 : 0
  user_data_bytes   = length(local.user_data_base64) / 4 * 3 - local.user_data_padding

  user_data = "#cloud-config\n${yamlencode(merge(local.bootcmd, { write_files = local.files, runcmd = local.commands }))}"
}
