# What stands between a mistake and the control plane, and the waiting, which may fail without harm to it.

# Nothing of the control plane is destroyed or replaced before this is, and this ends only after allow_destroy has been
# applied. Terraform destroys what depends on others first, so this depends on everything, by itself or through the group;
# and it must be made anew where one of these IDs is, which is how a replacement, or a resource that is marked as tainted,
# is met.
resource "terraform_data" "guard" {
  # The state's value counts and not the plan's: a destroy knows only what has been applied.
  input = { allow_destroy = var.allow_destroy }

  triggers_replace = {
    group           = aws_autoscaling_group.control_plane.arn
    launch_hook     = aws_autoscaling_lifecycle_hook.launch.id
    launch_template = aws_launch_template.machine.id

    bucket     = one(aws_s3_bucket.control_plane[*].arn)
    versioning = one(aws_s3_bucket_versioning.control_plane[*].id)
    key        = one(aws_kms_key.bucket[*].arn)
    key_pki    = one(aws_kms_key.pki[*].arn)
    key_disks  = one(aws_kms_key.volumes[*].arn)

    role        = aws_iam_role.machine.unique_id
    profile     = aws_iam_instance_profile.machine.unique_id
    launch_role = aws_iam_service_linked_role.group.unique_id

    # Every certificate names it: with another endpoint no machine would come in any more.
    endpoint = local.endpoint

    balancer = one(aws_lb.endpoint[*].arn)
    listener = one(aws_lb_listener.api[*].arn)
    targets  = one(aws_lb_target_group.api[*].arn)
    zone     = one(aws_route53_zone.private[*].zone_id)
    name     = one(aws_route53_record.api[*].id)

    machines_group = aws_security_group.machines.id
    endpoint_group = one(aws_security_group.endpoint[*].id)
  }

  provisioner "local-exec" {
    when    = destroy
    command = self.input.allow_destroy ? "exit 0" : "echo This would destroy or replace the control plane, or what it cannot live without. It was refused before that. If it is meant, apply allow_destroy=true first: docs/terraform.md, Destroy. 1>&2 && exit 1"
  }

  # Beside what the group itself depends on, which is destroyed after the group.
  depends_on = [
    aws_autoscaling_lifecycle_hook.leave,
    aws_kms_alias.this,
    aws_s3_bucket_lifecycle_configuration.control_plane,
    aws_s3_bucket_ownership_controls.control_plane,
    aws_s3_bucket_public_access_block.control_plane,
    aws_security_group.private_services,
    aws_security_group.workers,
    aws_vpc_security_group_egress_rule.with_workers,
    aws_vpc_security_group_egress_rule.workers_https,
    aws_vpc_security_group_egress_rule.workers_to_private_services,
    aws_vpc_security_group_egress_rule.workers_to_s3,
    aws_vpc_security_group_egress_rule.workers_to_your_endpoint,
    aws_vpc_security_group_ingress_rule.with_workers,
    aws_vpc_security_group_ingress_rule.workers_to_private_services,
    aws_cloudwatch_event_target.snapshots,
    aws_cloudwatch_metric_alarm.snapshots,
    aws_s3_bucket_lifecycle_configuration.snapshots,
    aws_s3_bucket_notification.snapshots,
    aws_s3_bucket_object_lock_configuration.snapshots,
    aws_s3_bucket_ownership_controls.snapshots,
    aws_s3_bucket_policy.snapshots,
    aws_s3_bucket_server_side_encryption_configuration.snapshots,
  ]
}

# When this is done, the control plane stands. A group that waits itself, and in vain, is marked as tainted, and the next
# apply would replace it. Where this fails only this is tainted, and the next apply waits again. It comes after the guard,
# so that the guard is there meanwhile.
resource "terraform_data" "machines_in_service" {
  count = var.wait_minutes > 0 ? 1 : 0

  triggers_replace = [aws_autoscaling_group.control_plane.arn, var.instance_count]

  provisioner "local-exec" {
    command = "sh '${path.module}/wait-for-machines.sh' ${local.name} ${local.region} ${var.instance_count} ${var.wait_minutes}"
  }

  depends_on = [terraform_data.guard]
}
